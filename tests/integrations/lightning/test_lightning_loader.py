"""What Lightning iterates instead of a user's loader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning_runs import BATCH, N, Rows, new_pruner
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Subset,
    WeightedRandomSampler,
)

from emprune import ArgumentError, DataError, PrunedLoader
from emprune.integrations.lightning.loader import EpochLoader


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(range(N))

    def __len__(self) -> int:
        return N


class Own(DataLoader):
    def __iter__(self) -> Any:
        return iter(())


def ids_of(loader: Any) -> list[list[int]]:
    return [ids.tolist() for ids, _ in loader]


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_are_those_of_a_pruned_loader(pruned: bool, drop_last: bool) -> None:
    pruner = new_pruner(prune_rate=0.7, anneal=0)  # 19 samples: 4 batches and 3 samples
    expected = ids_of(PrunedLoader(Rows(), pruner, BATCH, drop_last=drop_last))
    given = PrunedLoader if pruned else DataLoader
    source = given(Rows(), *([pruner] if pruned else []), BATCH, drop_last=drop_last)
    loader = EpochLoader(source, pruner, lambda epoch: None)
    assert ids_of(loader) == expected == ids_of(loader)
    assert len(loader) == loader.steps_left() == len(expected) == 5 - drop_last


def test_options_are_kept() -> None:
    def collate(samples: list[Any]) -> Any:
        return "collated", len(samples)

    def start(worker: int) -> None: ...

    own = torch.Generator()
    source = DataLoader(
        Rows(), 3, collate_fn=collate, num_workers=2, prefetch_factor=3, worker_init_fn=start, timeout=60.0,
        persistent_workers=True, generator=own, multiprocessing_context="fork",
    )  # fmt: skip
    loader = EpochLoader(source, new_pruner(), lambda epoch: None)
    for name in ("num_workers", "prefetch_factor", "worker_init_fn", "timeout", "persistent_workers", "generator"):
        assert getattr(loader, name) == getattr(source, name)
    assert next(iter(loader))[1] == ("collated", 3)
    assert next(iter(loader))[1] == ("collated", 3)


def test_begins_at_the_first_batch_asked_for() -> None:
    """An iterator made before the state was restored, as Lightning makes one, goes on behind it."""
    pruner = new_pruner()
    loader = EpochLoader(DataLoader(Rows(), BATCH), pruner, lambda epoch: None)
    expected, early = ids_of(loader), iter(loader)
    ids = torch.tensor(expected[0])
    pruner.loss(ids, torch.ones(BATCH), torch.ones(BATCH))
    pruner.load_state_dict(pruner.state_dict())
    assert ids_of(early) == expected[1:]
    assert (loader.steps_left(), len(loader)) == (3, 4)


def test_tells_of_epochs() -> None:
    epochs: list[int] = []
    loader = EpochLoader(DataLoader(Rows(), BATCH), new_pruner(), epochs.append)
    assert isinstance(loader.sampler, DistributedSampler)
    loader.sampler.set_epoch(2)
    assert epochs == [2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [DataLoader(Rows())], "train_dataloader is 'list'; allowed: one DataLoader"),
        (lambda: PrunedLoader(Rows(), new_pruner(), BATCH), "a PrunedLoader of another pruner"),
        (lambda: DataLoader(Stream(), BATCH), "one over Stream, a stream"),
        (lambda: Own(Rows(), BATCH), "a Own, which iterates in a way of its own"),
        (lambda: DataLoader(Rows(), BATCH, sampler=WeightedRandomSampler([1.0] * N, N)), "one with WeightedRandom"),
        (lambda: DataLoader(Rows(), BATCH, sampler=RandomSampler(Rows(), replacement=True)), "one with RandomSampler"),
        (lambda: DataLoader(Rows(), BATCH, sampler=RandomSampler(Rows(), num_samples=9)), "one with RandomSampler"),
        (lambda: DataLoader(Rows(), batch_sampler=BatchSampler(range(N), 4, False)), "one with BatchSampler"),
        (lambda: DataLoader(Rows(), batch_size=None), "one with batch_size"),
        (lambda: DataLoader(Subset(Rows(), range(9)), BATCH), "dataset is 'of 9 samples'; allowed: 64"),
        (lambda: DataLoader(Rows(), 32, drop_last=True), "at most 16"),
    ],
)
def test_loaders_that_cannot_be_pruned(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        EpochLoader(make(), new_pruner(), lambda epoch: None)


def test_a_run_that_is_over_still_has_a_length() -> None:
    pruner = new_pruner(num_epochs=1, anneal=0)
    pruner.loss(torch.from_numpy(pruner.plan.ids.copy()), torch.ones(16), torch.ones(16))
    pruner.end_epoch()
    assert len(EpochLoader(DataLoader(Rows(), BATCH), pruner, lambda epoch: None)) == 4


def test_a_data_set_that_changes_is_noticed() -> None:
    data, pruner = Rows(), new_pruner()
    data.name = "first"  # type: ignore[attr-defined]
    given = PrunedLoader(data, pruner, BATCH, fingerprint=lambda dataset: dataset.name)
    loader = EpochLoader(given, pruner, lambda epoch: None)
    for ids, _ in loader:
        pruner.loss(ids, torch.rand(len(ids), requires_grad=True), torch.rand(len(ids)))
    pruner.end_epoch()
    data.name = "other"  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="is 'other'"):
        next(iter(loader))
