"""A pruned loader under accelerate, in one process; several processes are in test_killed_trainers.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState, GradientState, PartialState
from cases import Positions, step
from torch.utils.data import DataLoader

from emprune import ArgumentError, EpochOrderError, PrunedLoader, Pruner
from emprune.distributed import World
from emprune.integrations.accelerate import prepare_loader, updates_per_epoch
from emprune.integrations.torchdata import stateful_loader

N, BATCH = 45, 4  # last batches of 3 in pruned epochs, and of 1 in full ones


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """accelerate keeps what the first Accelerator of a process was told."""
    forget()
    yield
    forget()


def forget() -> None:
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


class TwoRanks(World):
    size = 2

    def gather(self, column: Any) -> list[Any]:
        return [column] * 2


def new_pruner(**changed: Any) -> Pruner:
    return Pruner(N, "emp", **{"prune_rate": 0.5, "num_epochs": 3, "anneal": 0.34, "seed": 1, **changed})


def test_what_is_trained_is_the_plan_although_accelerate_looks_ahead() -> None:
    accelerator, pruner, alone = Accelerator(cpu=True, gradient_accumulation_steps=3), new_pruner(), new_pruner()
    loader = accelerator.prepare(prepare_loader(accelerator, PrunedLoader(Positions(N), pruner, BATCH)))
    model = torch.nn.Linear(1, 1)
    for _, epoch in zip(alone.epochs(), pruner.epochs(), strict=True):
        rows, synced = [], []
        for ids, (_, positions) in loader:
            assert ids.tolist() == positions.tolist()
            with accelerator.accumulate(model):
                step(pruner, ids)
                synced.append(accelerator.sync_gradients)
            assert accelerator.gather_for_metrics(ids).tolist() == ids.tolist()
            rows.append(ids.tolist())
        expected = [ids for ids, _ in PrunedLoader(Positions(N), alone, BATCH)]
        for ids in expected:
            step(alone, ids)
        assert rows == [ids.tolist() for ids in expected]
        assert sum(synced) == updates_per_epoch(pruner, BATCH, accumulation=3)[epoch]
        assert synced[-1]
    assert pruner.table.loss.tolist() == alone.table.loss.tolist()


def test_updates_of_a_rate_that_follows_the_scores_are_not_known_beforehand() -> None:
    accelerator, pruner = Accelerator(cpu=True), new_pruner(prune_rate="auto")
    with pytest.raises(ArgumentError, match=r"prune_rate is AutoRate\(.*updates_per_epoch.*pruner\.progress\(\)"):
        updates_per_epoch(pruner, BATCH)
    loader = accelerator.prepare(prepare_loader(accelerator, PrunedLoader(Positions(N), pruner, BATCH)))
    trained = []
    for _ in pruner.epochs():
        trained.append(0)
        for ids, _ in loader:
            step(pruner, ids)
            trained[-1] += len(ids)
    assert tuple(trained) == pruner.kept
    assert sum(updates_per_epoch(pruner, BATCH)) == pruner.report().steps


class Drawing(Positions):
    """Samples with a random number, as augmentation in a worker would draw it."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.rand(1), index


def test_workers_draw_by_seed_and_epoch_and_the_global_generator_is_left_alone() -> None:
    def drawn(iterations: int) -> list[float]:
        """What is drawn in epoch 1, after some iterations through epoch 0."""
        accelerator, pruner = Accelerator(cpu=True), new_pruner()
        loader = prepare_loader(accelerator, PrunedLoader(Drawing(N), pruner, BATCH, num_workers=1))
        looks = [next(iter(loader))[1][0].flatten().tolist() for _ in range(iterations - 1)]
        values = [[value for _, (drawn, _) in loader for value in drawn.flatten().tolist()]]
        assert looks == [values[0][:BATCH]] * (iterations - 1)
        step(pruner, torch.from_numpy(pruner.plan.ids.copy()))
        pruner.end_epoch()
        second = [value for _, (drawn, _) in loader for value in drawn.flatten().tolist()]
        assert second != values[0]
        return second

    before = torch.get_rng_state()
    assert drawn(1) == drawn(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_skipped_that_a_restored_plan_begins_after() -> None:
    accelerator, pruner, again = Accelerator(cpu=True), new_pruner(), new_pruner()
    for ids, _ in list(PrunedLoader(Positions(N), pruner, BATCH))[:2]:
        step(pruner, ids)
    again.load_state_dict(pruner.state_dict())
    loader = prepare_loader(accelerator, PrunedLoader(Positions(N), again, BATCH))
    for ids, _ in skip_first_batches(loader, 2):
        step(again, ids)
    with pytest.raises(EpochOrderError, match=r"8 samples were never trained, .*skip_first_batches"):
        again.end_epoch()


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # torchdata 0.11 calls it
def test_a_loader_is_refused_by_accelerators_prepare_where_there_are_several_ranks() -> None:
    accelerator = Accelerator(cpu=True)
    loaders: list[Any] = [lambda pruner: PrunedLoader(Positions(N), pruner, BATCH)]
    loaders.append(lambda pruner: stateful_loader(Positions(N), pruner, BATCH))
    for loader in loaders:
        prepared = accelerator.prepare(loader(new_pruner()))
        assert len(list(prepared)) == 6
        with pytest.raises(
            ArgumentError, match=r"accelerator.prepare\"; allowed: what .*prepare_loader.*of the 2 ranks"
        ):
            accelerator.prepare(loader(new_pruner(world=TwoRanks())))


def test_a_loop_that_reports_nothing_to_the_pruner_ends_with_its_first_epoch() -> None:
    accelerator, pruner = Accelerator(cpu=True), new_pruner()
    loader = prepare_loader(accelerator, PrunedLoader(Positions(N), pruner, BATCH))
    next(iter(loader))  # a look at the data is no fault
    assert len(list(loader)) == 6
    with pytest.raises(EpochOrderError, match=r"epoch 0 was gone through whole, .*`loss = pruner.loss\(ids, "):
        next(iter(loader))


def test_updates_of_each_epoch() -> None:
    pruner = new_pruner()
    assert pruner.kept == (23, 23, 45)
    assert updates_per_epoch(pruner, 4) == (6, 6, 12)
    assert updates_per_epoch(pruner, 4, accumulation=5) == (2, 2, 3)
    assert updates_per_epoch(pruner, 4, accumulation=5, drop_last=True) == (1, 1, 3)
    assert updates_per_epoch(new_pruner(world=TwoRanks()), 4, accumulation=2) == (2, 2, 3)
    for arguments, message in (
        ({"accumulation": 0}, "accumulation is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 24, "drop_last": True}, "allowed: a global batch of at most 23, the samples of epoch 0"),
    ):
        with pytest.raises(ArgumentError, match=message):
            updates_per_epoch(pruner, **{"batch_size": 4, **arguments})


def test_loaders_that_cannot_be() -> None:
    accelerator = Accelerator(cpu=True)
    for loader, message in (
        (DataLoader(Positions(N)), "loader is 'DataLoader'; allowed: a PrunedLoader"),
        (PrunedLoader(Positions(N), new_pruner(world=TwoRanks()), BATCH), "allowed: one for the 1 rank"),
    ):
        with pytest.raises(ArgumentError, match=message):
            prepare_loader(accelerator, loader)
