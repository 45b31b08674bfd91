"""What was only read does not count, and Ctrl-C leaves a pruner that goes on exactly."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from multiprocessing import Value
from pathlib import Path

import pytest
import torch
from cases import Positions, steps

from emprune import PrunedLoader, Pruner
from emprune.checkpoint import restore, save

N, BATCH, EPOCHS, STEPS = 60, 4, 3, 8  # 30 samples an epoch, the last step on two

Row = tuple[int, list[int], list[float]]


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where a shell started the tests in the background, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def build() -> Pruner:
    return Pruner(N, "infobatch", prune_rate=0.5, num_epochs=EPOCHS, seed=1)


def trained(pruner: Pruner, data: Positions, **options: int) -> Iterator[Row]:
    """What is left of the run, step by step."""
    return steps(pruner, PrunedLoader(data, pruner, BATCH, **options))


def go_on(pruner: Pruner) -> None:
    """In the process that was interrupted: what is left of the running epoch, instead of all of it."""
    pruner.load_state_dict(pruner.state_dict())


class Counting(Positions):
    """Says how many samples were read, whichever process did."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.read = Value("i", 0)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with self.read.get_lock():
            self.read.value += 1
        return super().__getitem__(index)


@pytest.mark.parametrize(("first", "then"), [(2, 0), (0, 2), (1, 2)])
def test_samples_read_ahead_are_not_counted(first: int, then: int, tmp_path: Path) -> None:
    expected, data, pruner = list(trained(build(), Positions(N))), Counting(N), build()
    run = trained(pruner, data, num_workers=first, **({"prefetch_factor": 2} if first else {}))
    done = [next(run) for _ in range(STEPS + 2)]
    deadline = time.monotonic() + 30
    while data.read.value < (ahead := N // 2 + (2 + 2 * first) * BATCH) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert data.read.value == ahead  # of epoch 1 two batches for the steps, and two more for each worker
    again = build()
    restore(again, save(pruner, tmp_path / "run.state"))
    assert again.plan.ids[again.start :].tolist() == pruner.plan.ids[2 * BATCH :].tolist()
    assert done + list(trained(again, Positions(N), num_workers=then)) == expected


class Interrupting(Positions):
    """Reading a certain sample, the user presses Ctrl-C."""

    at = -1

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index == self.at:
            self.at = -1
            signal.raise_signal(signal.SIGINT)
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("after", [1, STEPS, STEPS + 3, 2 * STEPS - 1])
def test_ctrl_c_after_a_step(after: int, workers: int) -> None:
    expected, pruner, done = list(trained(build(), Positions(N))), build(), []

    def loop() -> None:
        for row in trained(pruner, Positions(N), num_workers=workers):
            done.append(row)
            if len(done) == after:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        loop()
    go_on(pruner)
    loop()
    assert done == expected
    assert pruner.report().steps == len(expected)


def test_ctrl_c_while_a_batch_is_read() -> None:
    expected, pruner, data, done = list(trained(build(), Positions(N))), build(), Interrupting(N), []
    data.at = expected[STEPS + 5][1][1]
    with pytest.raises(KeyboardInterrupt):
        done.extend(trained(pruner, data))
    assert 0 < len(done) <= STEPS + 5
    go_on(pruner)
    assert done + list(trained(pruner, data)) == expected
