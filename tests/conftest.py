"""Shared by all tests."""

import torch

# One thread a process, since the tests themselves run side by side.
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
