"""Data sets beyond what float32 counts exactly: ids stay exact, and memory within what is stated.

10⁸ samples are benchmarks/table_memory.py's, for their time.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from emprune import IdBatches, Pruner

BYTES_A_SAMPLE = 48
"""What one process may take at a prune rate of 0.7, besides the observations of the running epoch."""

MEASURE = """
import pathlib, re, sys
import numpy as np
import torch
from emprune import IdBatches, Pruner

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024

size, before = int(sys.argv[1]), peak()
pruner = Pruner(size, "emp", prune_rate=0.7, num_epochs=3)
rng = np.random.default_rng(0)
seen = {"last_seen": torch.zeros(size, dtype=torch.int32), "times_trained": torch.ones(size, dtype=torch.int32)}
scores = {name: torch.from_numpy(rng.random(size, dtype=np.float32)) for name in ("loss", "memory")}
pruner.table.load_state_dict({**seen, **scores})  # a page that nobody has written takes no memory
del seen, scores
for number, ids in zip(range(4), IdBatches(pruner, 256)):
    pruner.loss(ids, ids / size, ids / size)
pruner.end_epoch(partial=True)
assert len(pruner.plan) == round(0.3 * size)
print((peak() - before) / size)
"""


def test_ids_beyond_two_to_the_24_are_exact_in_table_plan_and_state() -> None:
    """One more than 2²⁴ samples, which float32 cannot count, and some: the last ones, of odd number, matter most."""
    size = 2**24 + 65
    last = torch.arange(2**24 - 63, size, 2)
    assert len(last.float().unique()) < len(last)

    def new() -> Pruner:
        return Pruner(size, "lfl", prune_rate=1 - len(last) / size, num_epochs=3)

    pruner = new()
    assert list(pruner.kept) == [len(last)] * 3
    (first,) = IdBatches(pruner, len(last))
    pruner.observe(torch.arange(size), torch.ones(()).expand(size))
    pruner.loss(first, torch.ones(len(first)))
    pruner.observe(last, 2 + torch.arange(len(last)) / 7)
    pruner.end_epoch()
    assert sorted(pruner.plan.ids.tolist()) == last.tolist()
    np.testing.assert_array_equal(pruner.table.loss[last], (2 + torch.arange(len(last)) / 7).numpy())
    assert np.count_nonzero(pruner.table.loss != 1) == len(last)
    trained = np.zeros(size, dtype=np.int32)
    trained[first] = 1
    for ids in IdBatches(pruner, 16):
        pruner.loss(ids, ids % 97 / 7)
        if ids[0] == pruner.plan.ids[16]:
            break
    state = pruner.state_dict()
    restored = new()
    restored.load_state_dict(state)
    assert restored.plan.ids.tolist() == pruner.plan.ids.tolist()
    assert [i for ids in IdBatches(restored, 16) for i in ids.tolist()] == pruner.plan.ids[32:].tolist()
    trained[pruner.plan.ids[:32]] += 1
    np.testing.assert_array_equal(restored.table.times_trained, trained)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its peak of memory")
def test_thirty_million_samples_take_no_more_than_stated() -> None:
    command = [sys.executable, "-W", "error", "-c", MEASURE, str(3 * 10**7)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    taken = float(done.stdout)
    assert 16 + 0.3 * 12 < taken < BYTES_A_SAMPLE  # the table and the plan are there in any case
