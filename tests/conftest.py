"""Shared by all tests."""

import os

# One thread a process, since the tests themselves run side by side; of processes that tests start, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch

torch.set_num_threads(1)

try:
    from hypothesis import settings
except ImportError:  # tests/device needs pytest, torch and numpy alone: what a machine with an accelerator has
    pass
else:
    # The same cases on every machine: a red test is then a change of the code, not of the dice.
    settings.register_profile("emprune", deadline=None, derandomize=True, database=None)
    settings.load_profile("emprune")

collect_ignore = ["wheel"]  # for the wheel's own environment; `make wheel` runs it
