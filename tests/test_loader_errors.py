"""Loaders that cannot be built say why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cases import Positions
from torch.utils.data import IterableDataset

from emprune import ArgumentError, IdBatches, PlanSampler, PrunedLoader, Pruner
from emprune.distributed import World


def new_pruner() -> Pruner:
    return Pruner(40, "emp", prune_rate=0.4, num_epochs=3)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(range(40))


class SizedStream(Stream):
    """As a WebDataset with a length."""

    def __len__(self) -> int:
        return 40


class AskedStream(SizedStream):
    """As MosaicML's StreamingDataset: a stream that can be asked for samples."""

    def __getitem__(self, index: int) -> int:
        return 100 + index


def test_a_stream_that_can_be_asked_for_samples_is_a_map_style_data_set() -> None:
    loader = PrunedLoader(AskedStream(), new_pruner(), batch_size=4)
    batches = list(loader)
    assert sum(len(ids) for ids, _ in batches) == 24
    assert all((ids + 100 == values).all() for ids, values in batches)


class Bare:
    def __len__(self) -> int:
        return 40


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (Positions(39), {}, "dataset is 'of 39 samples'; allowed: 40, the pruner's num_samples"),
        (Stream(), {}, "dataset is 'Stream'; allowed: a map-style dataset"),
        (SizedStream(), {}, "dataset is 'SizedStream'; allowed: a map-style dataset .* A stream cannot be asked"),
        (Bare(), {}, "dataset is 'Bare'; allowed: a map-style dataset"),
        (Positions(40), {"shuffle": True}, "shuffle is True; allowed: nothing: the pruner's plan decides"),
        (Positions(40), {"sampler": [1]}, r"sampler is \[1\]; allowed: nothing"),
        (Positions(40), {"batch_size": 0}, "batch_size is 0; allowed: an integer of at least 1"),
        (Positions(40), {"batch_size": None}, "batch_size is None; allowed: an integer of at least 1"),
    ],
)
def test_bad_loaders_are_named(dataset: Any, options: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        PrunedLoader(dataset, new_pruner(), **options)


@pytest.mark.parametrize("batch_size", [0, -3, 2.5])
def test_bad_batch_sizes_are_named(batch_size: Any) -> None:
    for build in (lambda: IdBatches(new_pruner(), batch_size), lambda: new_pruner().total_steps(batch_size)):
        with pytest.raises(ArgumentError, match=f"batch_size is {batch_size}; allowed: an integer of at least 1"):
            build()


def test_several_ranks_need_the_batch_size_of_a_sampler() -> None:
    world = World()
    world.size, world.all_gather = 2, lambda column: [column] * 2
    with pytest.raises(ArgumentError, match="batch_size is None; allowed: an integer of at least 1"):
        PlanSampler(Pruner(40, "random", prune_rate=0.4, num_epochs=3, world=world))


def test_a_pruner_in_the_place_of_the_data_set_is_told_apart() -> None:
    with pytest.raises(ArgumentError, match=r"dataset is 'a Pruner'.*PrunedLoader\(dataset, pruner\)"):
        PrunedLoader(new_pruner(), Positions(40), 4)
