"""Iteration is pure, ids travel with their batch, and no global generator is touched."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from cases import Positions, loss_of, memory_of, step
from thread_world import on_all_ranks
from torch.utils.data import DataLoader, Dataset

from emprune import EMP, DataError, IdBatches, PlanSampler, PrunedLoader, Pruner
from emprune.checkpoint import fingerprint_of
from emprune.distributed import World

LOADERS: dict[str, dict[str, Any]] = {
    "in process": {},
    "workers": {"num_workers": 2, "prefetch_factor": 3},
    "persistent workers": {"num_workers": 2, "persistent_workers": True},
}


def new_pruner(size: int = 40, **options: Any) -> Pruner:
    return Pruner(size, "emp", **{"prune_rate": 0.4, "num_epochs": 3, "seed": 5, **options})


def test_the_sampler_changes_nothing() -> None:
    pruner = new_pruner()
    sampler = PlanSampler(pruner)
    length = len(sampler)
    first, second = iter(sampler), iter(sampler)
    half = list(islice(first, 10))
    ids = list(second)
    assert (length, len(sampler), len(ids)) == (24, 24, 24)
    assert half == ids[:10]
    assert half + list(first) == ids == list(PlanSampler(pruner)) == pruner.plan.ids.tolist()
    assert all(type(i) is int for i in ids)


def test_the_plan_changes_only_when_the_epoch_ends() -> None:
    pruner = new_pruner()
    sampler, plan = PlanSampler(pruner), pruner.plan
    for ids in IdBatches(pruner, 5):
        step(pruner, ids)
        assert pruner.plan is plan
    assert list(sampler) == plan.ids.tolist()
    pruner.end_epoch()
    assert list(sampler) == pruner.plan.ids.tolist() != plan.ids.tolist()


@pytest.mark.parametrize("options", LOADERS.values(), ids=LOADERS)
def test_every_loader_gives_the_plan_and_every_sample_its_own_id(options: dict) -> None:
    pruner = new_pruner()
    loader = PrunedLoader(Positions(40), pruner, batch_size=5, **options)
    for _ in pruner.epochs():
        expected, length = pruner.plan.ids.tolist(), len(loader)
        next(iter(loader))  # a look at the first batch, then another iterator
        seen = []
        for ids, (values, positions) in loader:
            assert ids.dtype == torch.int64
            assert ids.tolist() == positions.tolist() == values[:, 0].long().tolist()
            seen += ids.tolist()
            step(pruner, ids)
        assert seen == expected
        assert length == len(loader) == 5


@pytest.mark.parametrize("options", LOADERS.values(), ids=LOADERS)
def test_every_score_lands_on_its_own_sample_with_look_ahead(options: dict) -> None:
    pruner = new_pruner()
    loader = PrunedLoader(Positions(40), pruner, batch_size=7, **options)
    for epoch in pruner.epochs():
        trained = pruner.plan.ids.copy()
        batches = iter(loader)
        ahead = next(batches)
        while ahead is not None:
            (ids, _), ahead = ahead, next(batches, None)  # the loader is a batch ahead of the step
            step(pruner, ids)
        pruner.report()  # brings the running epoch's scores to the table
        everyone = torch.from_numpy(trained)
        assert pruner.table.loss[trained].tolist() == loss_of(everyone, epoch).tolist()
        assert pruner.table.memory[trained].tolist() == memory_of(everyone, epoch).tolist()
        assert set(pruner.table.last_seen[trained].tolist()) == {epoch}


def test_a_half_read_epoch_leaves_the_rest_untrained_and_unseen() -> None:
    pruner = Pruner(40, EMP(unseen="first"), prune_rate=0.4, num_epochs=3)
    loader = PrunedLoader(Positions(40), pruner, batch_size=5, num_workers=2)
    half = pruner.plan.ids[:10].tolist()
    for ids, _ in islice(loader, 2):
        step(pruner, ids)
    pruner.end_epoch(partial=True)
    assert np.flatnonzero(pruner.table.times_trained).tolist() == sorted(half)
    assert pruner.report().samples_backward == 10
    assert sum(i not in half for i in pruner.plan.ids.tolist()) == 24  # never seen ones come first, 30 are left


def test_ids_alone() -> None:
    pruner = new_pruner()
    batches, plan = IdBatches(pruner, 7), pruner.plan.ids.tolist()
    assert [len(ids) for ids in batches] == [7, 7, 7, 3]
    assert torch.cat(list(batches)).tolist() == plan
    dropped = IdBatches(pruner, 7, drop_last=True)
    assert (len(batches), len(dropped), len(list(dropped))) == (4, 3, 3)
    assert torch.cat(list(dropped)).tolist() == plan[:21]
    next(iter(batches)).zero_()
    assert pruner.plan.ids.tolist() == plan


def test_total_steps_is_the_length_of_every_epoch() -> None:
    for drop_last in (False, True):
        pruner = new_pruner(warmup_epochs=1)
        loader = PrunedLoader(Positions(40), pruner, batch_size=7, drop_last=drop_last)
        expected = pruner.total_steps(7, drop_last=drop_last)
        for _ in pruner.epochs():
            for ids, _ in loader:
                step(pruner, ids)
        assert pruner.report().steps == expected == (5 + 3 + 3 if drop_last else 6 + 4 + 4)


def test_global_generators_are_left_alone() -> None:
    def states() -> tuple[Any, ...]:
        kind, keys, *rest = np.random.get_state()
        return random.getstate(), (kind, keys.tolist(), *rest), torch.get_rng_state().tolist()

    for policy in ("emp", "infobatch", "rs2", "random", "static-random", "lfl"):
        before = states()
        for options in LOADERS.values():
            pruner = Pruner(40, policy, prune_rate=0.5, num_epochs=2, warmup_epochs=1, anneal=0.0)
            loader = PrunedLoader(Positions(40), pruner, batch_size=9, **options)
            for ids, _ in loader:
                step(pruner, ids)
        pruner.end_epoch()
        list(IdBatches(pruner, 4))
        assert states() == before


class Augmented(Dataset):
    """Samples that carry a random number, as augmentation in a worker would draw it."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> float:
        return torch.rand(()).item()


def test_augmentation_in_workers_is_decided_by_seed_and_epoch() -> None:
    def draw(seed: int) -> list[list[float]]:
        pruner = Pruner(40, "random", prune_rate=0.5, num_epochs=2, seed=seed)
        loader = PrunedLoader(Augmented(), pruner, batch_size=10, num_workers=1)
        epochs = []
        for _ in pruner.epochs():
            epochs.append(torch.cat([values for _, values in loader]).tolist())
            step(pruner, torch.from_numpy(pruner.plan.ids.copy()))
        return epochs

    first, again, other = draw(1), draw(1), draw(2)
    assert first == again
    assert first[0] != first[1]
    assert first != other


def test_own_collate_and_batched_fetch_are_kept() -> None:
    class Batched(Positions):
        def __getitems__(self, indices: list[int]) -> list[str]:
            return [f"sample {i}" for i in indices]

    pruner = new_pruner()
    loader = PrunedLoader(Batched(40), pruner, batch_size=4, collate_fn=", ".join)
    for ids, text in loader:
        assert text == ", ".join(f"sample {i}" for i in ids.tolist())


def test_a_plain_dataloader_can_use_the_sampler() -> None:
    pruner = new_pruner()
    loader = DataLoader(Positions(40), batch_size=8, sampler=PlanSampler(pruner), generator=torch.Generator())
    assert torch.cat([positions for _, positions in loader]).tolist() == pruner.plan.ids.tolist()


def test_the_loaders_dataset_can_be_indexed_singly() -> None:
    data = torch.utils.data.TensorDataset(torch.arange(4.0))
    loader = PrunedLoader(data, Pruner(4, "random", prune_rate=0.5, num_epochs=1), batch_size=2)
    index, (value,) = loader.dataset[3]
    assert (index, value.item(), len(loader.dataset)) == (3, 3.0, 4)


def drawn(loader: PrunedLoader) -> list[float]:
    return torch.cat([values for _, values in loader]).tolist()


def test_workers_of_each_rank_draw_differently() -> None:
    def of_rank(rank: int, size: int) -> list[float]:
        world = World()
        world.rank, world.size = rank, size
        world.all_gather = lambda column: [column] * size
        pruner = Pruner(40, "full", prune_rate=0.0, num_epochs=1, world=world)
        return drawn(PrunedLoader(Augmented(), pruner, batch_size=10, num_workers=1))

    first, second, alone = of_rank(0, 2), of_rank(1, 2), of_rank(0, 1)
    assert not set(first) & set(second)
    assert first == of_rank(0, 2)
    plain = Pruner(40, "full", prune_rate=0.0, num_epochs=1)
    assert alone == drawn(PrunedLoader(Augmented(), plain, batch_size=10, num_workers=1))


def test_a_generator_of_the_user_s_is_used_as_without_pruning() -> None:
    ours, plain = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    loader = PrunedLoader(Augmented(), new_pruner(), batch_size=10, num_workers=1, generator=ours)
    plain_loader = DataLoader(Augmented(), batch_size=10, num_workers=1, generator=plain)
    first = drawn(loader)
    list(plain_loader)
    assert torch.equal(ours.get_state(), plain.get_state())
    assert drawn(loader) != first


def test_a_data_set_that_changes_between_epochs_is_noticed_by_its_length() -> None:
    data, pruner = list(range(40)), new_pruner()
    loader = PrunedLoader(data, pruner, batch_size=8)
    data.append(40)
    with pytest.raises(DataError, match="the data set has 41 samples in epoch 0, when the loader was built 40"):
        iter(loader)


def test_a_data_set_that_changes_between_epochs_is_noticed_by_choice() -> None:
    calls, data, pruner = [], [float(i) for i in range(40)], new_pruner()

    def fingerprint(dataset: Any) -> str:
        calls.append(len(calls))
        return fingerprint_of(dataset, samples=5)

    loader = PrunedLoader(data, pruner, batch_size=8, fingerprint=fingerprint)
    for _ in range(2):
        next(iter(loader))
        for ids, _ in loader:
            step(pruner, ids)
        pruner.end_epoch()
    assert len(calls) == 2  # when it was built, and in epoch 1
    data.reverse()
    with pytest.raises(DataError, match=r"the data set is '40 samples, .*' in epoch 2, when .* built '40 samples, "):
        iter(loader)
    list(PrunedLoader(data, pruner, batch_size=8))


def test_the_length_is_never_an_error() -> None:
    pruner = new_pruner(num_epochs=1)
    loaders = [
        PrunedLoader(Positions(40), pruner, 7), IdBatches(pruner, 7), PlanSampler(pruner), PlanSampler(pruner, 7),
    ]  # fmt: skip
    assert [len(loader) for loader in loaders] == [4, 4, 24, 24]
    for ids in loaders[1]:
        step(pruner, ids)
    assert [len(loader) for loader in loaders] == [4, 4, 24, 24]
    pruner.end_epoch()
    assert [len(loader) for loader in loaders] == [0] * 4


@pytest.mark.parametrize("drop_last", [False, True])
def test_the_length_is_the_number_of_batches_on_every_rank(drop_last: bool) -> None:
    def run(world: World) -> None:
        pruner = new_pruner(world=world, partition_batch_size=3)
        batches = IdBatches(pruner, 3, drop_last=drop_last)
        assert len(batches) == len(list(batches))
        sampler = PlanSampler(new_pruner(world=world), 3, drop_last=drop_last)
        assert len(sampler) == len(list(sampler))

    assert on_all_ranks(run, 3) == [None] * 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_ids_are_plain_tensors_that_may_be_written_to(num_workers: int) -> None:
    pruner = Pruner(6, "random", prune_rate=0.0, num_epochs=1)
    loader = PrunedLoader([0.5] * 6, pruner, 4, num_workers=num_workers)
    found = []
    for ids, _ in loader:
        assert (type(ids), ids.dtype, ids.shape) == (torch.Tensor, torch.int64, (min(4, 6 - len(found)),))
        found += ids.tolist()
        ids.zero_()
    assert found == pruner.plan.ids.tolist()
