"""A StatefulDataLoader made for a pruner gives exactly what is left, however it was stopped."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import Positions, play, step, steps

from emprune import ArgumentError, EmpruneError, EpochOrderError, Pruner, StateError
from emprune.checkpoint import restore, save
from emprune.integrations.torchdata import _loader_class, stateful_loader

pytest.importorskip("torchdata")
# torchdata 0.11 calls what torch 2.13 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")

N, BATCH, STEPS = 60, 4, 8  # 30 samples an epoch
Row = tuple[int, list[int], list[float]]


def build(**changed: Any) -> Pruner:
    return Pruner(N, "infobatch", prune_rate=0.5, num_epochs=4, **{"seed": 2, **changed})


def loader_of(pruner: Pruner, workers: int = 0, **options: Any) -> Any:
    more = {"num_workers": workers, "prefetch_factor": 3} if workers else {}
    return stateful_loader(Positions(N), pruner, BATCH, **more, **options)


@pytest.mark.parametrize("workers", [[0], [2], [2, 0, 1]], ids=["none", "two", "changed each time"])
def test_stopped_again_and_again(workers: list[int], tmp_path: Path) -> None:
    """In mid-epoch, twice in one epoch, at an epoch's last batch."""
    expected, done, state = list(play(build(), BATCH)), [], None
    for session, length in enumerate([3, 7, 1, 4, 1, 10, 100]):
        pruner = build()
        loader = loader_of(pruner, workers[session % len(workers)])
        if state is not None:
            restore(pruner, tmp_path / "run.state")
            loader.load_state_dict(state)
        for row, _ in zip(steps(pruner, loader), range(length), strict=False):
            done.append(row)
            if len(done) < len(expected):
                save(pruner, tmp_path / "run.state")
                state = loader.state_dict()
    assert done == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_between_epochs_and_at_the_end(workers: int, tmp_path: Path) -> None:
    expected, pruner = list(play(build(), BATCH)), build()
    loader = loader_of(pruner, workers)
    for _ in range(2):
        for ids, _ in loader:
            step(pruner, ids)
        pruner.end_epoch()
    save(pruner, tmp_path / "run.state")
    state, again = loader.state_dict(), build()
    other = loader_of(again, workers)
    restore(again, tmp_path / "run.state")
    other.load_state_dict(state)
    assert list(steps(again, other)) == [row for row in expected if row[0] >= 2]
    other.state_dict()
    assert again.epoch == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_given_out_but_not_trained_come_again(workers: int, tmp_path: Path) -> None:
    expected, pruner, done = list(play(build(), BATCH)), build(), []
    loader = loader_of(pruner, workers)
    batches = iter(loader)
    for _ in range(3):
        ids, _ = next(batches)
        step(pruner, ids)
        done.append(ids.tolist())
    next(batches), next(batches)
    save(pruner, tmp_path / "run.state")
    state, again = loader.state_dict(), build()
    restore(again, tmp_path / "run.state")
    other = loader_of(again, workers)
    other.load_state_dict(state)
    assert done + [ids for _, ids, _ in steps(again, other)] == [ids for _, ids, _ in expected]


def test_a_pruner_that_was_not_restored_is_an_error(tmp_path: Path) -> None:
    pruner = build()
    loader = loader_of(pruner)
    run = steps(pruner, loader)
    for length, epoch, samples in ((3, 0, 12), (STEPS, 1, 12)):
        for _ in range(length):
            next(run)
        again = build()
        other = loader_of(again)
        other.load_state_dict(loader.state_dict())
        with pytest.raises(
            StateError, match=f"of epoch {epoch} after {samples} samples, but the pruner .* epoch 0 after 0"
        ):
            iter(other)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loop_that_reports_nothing_to_the_pruner_ends_with_its_first_epoch(workers: int) -> None:
    pruner = build()
    loader = loader_of(pruner, workers)
    next(iter(loader))
    assert len(list(loader)) == STEPS
    with pytest.raises(EpochOrderError, match=r"epoch 0 was gone through whole, .*`loss = pruner.loss\(ids, "):
        next(iter(loader))


def test_options_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for options, message in (
        ({"snapshot_every_n_steps": 5}, "snapshot_every_n_steps is 5; allowed: 1"),
        ({"shuffle": True}, "shuffle is True; allowed: nothing"),
    ):
        with pytest.raises(ArgumentError, match=message):
            loader_of(build(), **options)
    with pytest.raises(ArgumentError, match="batch_size is 0"):
        stateful_loader(Positions(N), build(), 0)
    _loader_class.cache_clear()
    monkeypatch.setitem(sys.modules, "torchdata.stateful_dataloader", None)
    with pytest.raises(EmpruneError, match=r"pip install torchdata"):
        loader_of(build())


def test_global_generators_are_left_alone() -> None:
    def states() -> tuple[Any, ...]:
        kind, keys, *rest = np.random.get_state()
        return random.getstate(), (kind, keys.tolist(), *rest), torch.get_rng_state().tolist()

    before = states()
    for workers in (0, 2):
        pruner = build()
        loader = loader_of(pruner, workers)
        loader.state_dict()
        for _ in zip(steps(pruner, loader), range(STEPS + 2), strict=False):
            loader.state_dict()
    assert states() == before


class Augmented(Positions):
    """Samples that carry a random number, as augmentation in a worker would draw it."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.rand(1), index


def test_augmentation_in_workers_is_decided_by_seed_and_epoch() -> None:
    def draw(seed: int, first: bool) -> list[list[float]]:
        pruner, epochs = build(seed=seed), []
        loader = stateful_loader(Augmented(N), pruner, BATCH, num_workers=1)
        for _ in pruner.epochs():
            if first:
                loader.state_dict()
            batches = list(loader)
            for ids, _ in batches:
                step(pruner, ids)
            epochs.append(torch.cat([values for _, (values, _) in batches]).flatten().tolist())
            if len(epochs) == 2:
                return epochs
        return epochs

    first, again, other = draw(1, False), draw(1, True), draw(2, False)
    assert first == again
    assert first[0] != first[1] != other[1]
