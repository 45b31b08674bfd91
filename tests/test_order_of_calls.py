"""Every order of calls is right or an error, or says that a part of an epoch was left out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import pytest
import torch
from cases import Positions, step
from torch.utils.data import DataLoader

from emprune import ArgumentError, EpochOrderError, IdBatches, PlanSampler, PrunedLoader, Pruner
from emprune.errors import EmpruneWarning

N, BATCH, KEPT = 60, 4, 30  # 8 batches an epoch, the last one of 2
MISSING = r"begins a second round over the plan of epoch 0: pruner.end_epoch\(\) is missing"


def build(policy: str = "lfl", rate: float = 0.5, **options: Any) -> Pruner:
    return Pruner(N, policy, **{"prune_rate": rate, "num_epochs": 3, "seed": 2, **options})


def by_loader(pruner: Pruner, **options: Any) -> Any:
    return PrunedLoader(Positions(N), pruner, BATCH, **options)


def by_workers(pruner: Pruner, **options: Any) -> Any:
    return by_loader(pruner, num_workers=1, **options)


class ByIds:
    """Pairs like a loader's, of IdBatches."""

    def __init__(self, pruner: Pruner, **options: Any) -> None:
        self.batches = IdBatches(pruner, BATCH, **options)

    def __iter__(self) -> Any:
        return ((ids, None) for ids in self.batches)

    def __len__(self) -> int:
        return len(self.batches)


LOADERS = [by_loader, by_workers, ByIds]


def forever(loader: Any) -> Any:
    while True:
        yield from loader


def train(pruner: Pruner, batches: Any) -> int:
    """Steps until the batches end."""
    return sum(1 for ids, _ in batches if step(pruner, ids) is not None)


# ---- a second round


@pytest.mark.parametrize("options", [{}, {"drop_last": True}], ids=["all", "drop_last"])
@pytest.mark.parametrize("make", LOADERS)
def test_an_endless_loop_by_steps_is_told_which_call_is_missing(make: Any, options: dict[str, Any]) -> None:
    pruner = build()
    loader = make(pruner, **options)
    with pytest.raises(EpochOrderError, match=MISSING):
        train(pruner, forever(loader))
    assert pruner.report().steps == len(loader) == (7 if options else 8)
    pruner.end_epoch()  # and goes on where it is called
    assert train(pruner, loader) == len(loader)


SECOND_ROUNDS: dict[str, Callable[[Pruner, Any], object]] = {
    "no end_epoch": lambda p, loader: [train(p, loader) for _ in range(2)],
    "itertools.cycle": lambda p, loader: train(p, islice(cycle(loader), 20)),
    "a list of batches": lambda p, loader: train(p, 2 * list(loader)),
    "after an interruption": lambda p, loader: [train(p, islice(loader, n)) for n in (3, 8)],
    "islice several times": lambda p, loader: [train(p, islice(loader, 2)) for _ in range(5)],
    "a loop in a loop": lambda p, loader: [train(p, [outer, *loader]) for outer in loader],
    "a plain sampler": lambda p, _: [
        train(p, ((ids, 0) for _, ids in DataLoader(Positions(N), BATCH, sampler=PlanSampler(p)))) for _ in range(2)
    ],
    "one's own batches": lambda p, _: train(p, 2 * [(ids, 0) for ids in torch.tensor(p.plan.ids.copy()).split(BATCH)]),
    "validation batches": lambda p, loader: [
        train(p, loader), train(p, ((ids, 0) for ids in torch.arange(N).split(20)))
    ],
}  # fmt: skip


@pytest.mark.parametrize("rate", [0.5, 0.0])
@pytest.mark.parametrize("name", SECOND_ROUNDS)
def test_a_second_round_is_an_error(name: str, rate: float) -> None:
    pruner = build(rate=rate)
    with pytest.raises(EpochOrderError, match=f"{MISSING}|not in the plan of the running epoch"):
        SECOND_ROUNDS[name](pruner, by_loader(pruner))


@pytest.mark.parametrize("batch_size", [KEPT, 100])
def test_an_epoch_of_one_batch_has_a_second_round_too(batch_size: int) -> None:
    pruner = build()
    loader = PrunedLoader(Positions(N), pruner, batch_size)
    with pytest.raises(EpochOrderError, match=MISSING):
        train(pruner, islice(forever(loader), 3))
    assert pruner.report().steps == 1


def test_one_batch_that_is_passed_a_hundred_times_is_said() -> None:
    pruner = build()
    (batch,) = PrunedLoader(Positions(N), pruner, KEPT)
    train(pruner, [batch] * 100)
    with pytest.warns(EmpruneWarning, match=r"passed its 30 samples a hundred times.*end_epoch\(\) is missing"):
        train(pruner, [batch])
    train(pruner, [batch])


# ---- what is right


def both(pruner: Pruner, loader: Any) -> None:
    for (ids, _), (again, _) in zip(loader, loader, strict=True):
        assert ids.tolist() == again.tolist()
        step(pruner, ids)
        step(pruner, again)


def looked_at(pruner: Pruner, loader: Any) -> None:
    """Frameworks ask for length and iterators ahead of training, and in it."""
    next(iter(loader)), len(loader), list(loader)
    for number, (ids, _) in enumerate(loader):
        if number == 3:
            next(iter(loader))
        step(pruner, ids)
    next(iter(loader))


def told_between(pruner: Pruner, loader: Any) -> None:
    for ids, _ in loader:
        step(pruner, ids)
        pruner.report(), pruner.state_dict()
        pruner.observe(torch.arange(N), torch.ones(N))  # validation


def in_passes(pruner: Pruner, loader: Any) -> None:
    for ids, _ in loader:
        for _ in range(20):
            step(pruner, ids)


def in_parts_and_passes(pruner: Pruner, loader: Any) -> None:
    for ids, _ in loader:
        for part in (*ids.split(1), *ids.split(2), ids.repeat(2)):
            step(pruner, part)


def interrupted(pruner: Pruner, loader: Any) -> None:
    train(pruner, islice(loader, 3))
    next(pruner.epochs())
    train(pruner, loader)


def ended_by_a_state(pruner: Pruner, loader: Any) -> None:
    train(pruner, islice(loader, 5))
    pruner.load_state_dict(pruner.state_dict())
    train(pruner, loader)


RIGHT = [train, both, looked_at, told_between, in_passes, in_parts_and_passes, interrupted, ended_by_a_state]


@pytest.mark.parametrize("rate", [0.5, 0.0])
@pytest.mark.parametrize("make", LOADERS)
@pytest.mark.parametrize("order", RIGHT)
def test_what_is_right_trains_the_plan_and_says_nothing(order: Any, make: Any, rate: float) -> None:
    pruner = build(rate=rate)
    loader = make(pruner)
    for epoch in range(3):
        planned = sorted(pruner.plan.ids.tolist())
        before = pruner.table.times_trained.copy()
        order(pruner, loader)
        assert pruner.consumed == len(planned)
        pruner.end_epoch()
        assert (pruner.table.times_trained - before).nonzero()[0].tolist() == planned
        assert pruner.report().samples_backward == (epoch + 1) * len(planned)
    assert pruner.report().realised_rate == rate
    assert len(loader) == 0
    with pytest.raises(EpochOrderError, match="the run of 3 epochs is over"):
        iter(loader), list(loader)


# ---- what leaves a part of an epoch out


def without_some_steps(pruner: Pruner, loader: Any) -> None:
    for number, (ids, _) in enumerate(loader):
        if number != 4:
            step(pruner, ids)


def skipped_again(pruner: Pruner, loader: Any) -> None:
    """As skip_first_batches does on the loader of a restored pruner, which has skipped them."""
    train(pruner, islice(loader, 1))
    pruner.load_state_dict(pruner.state_dict())
    train(pruner, islice(loader, 1, None))


UNFINISHED: dict[str, tuple[Callable[[Pruner, Any], object], int]] = {
    "end_epoch in the middle": (lambda p, loader: train(p, islice(loader, 3)), 12),
    "one batch alone, again and again": (lambda p, loader: train(p, [next(iter(loader))] * 8), 4),
    "the last batch missing": (lambda p, loader: train(p, islice(loader, 7)), 28),
    "some steps without pruner.loss": (without_some_steps, 26),
    "samples left out": (lambda p, loader: train(p, ((ids[1:], 0) for ids, _ in loader)), 22),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_epoch_that_ends_with_a_part_untrained_says_so_once(name: str) -> None:
    order, trained = UNFINISHED[name]
    pruner = build()
    loader = by_loader(pruner)
    order(pruner, loader)
    with pytest.warns(EmpruneWarning, match=f"epoch 0 ended with {trained} of its 30 planned samples trained") as told:
        pruner.end_epoch()
    assert len(told) == 1
    order(pruner, loader)
    pruner.end_epoch()


def test_batches_skipped_a_second_time_are_an_error() -> None:
    pruner = build()
    skipped_again(pruner, by_loader(pruner))
    with pytest.raises(
        EpochOrderError, match="4 samples were never trained, the first ones after where it was restored"
    ):
        pruner.end_epoch()


def test_a_part_that_is_left_out_on_purpose_is_not_said() -> None:
    pruner = build()
    train(pruner, islice(by_loader(pruner), 3))
    pruner.end_epoch(partial=True)
    assert pruner.epoch == 1


@pytest.mark.parametrize("make", [by_loader, ByIds])
def test_what_drop_last_leaves_out_is_not_said_but_more_is(make: Any) -> None:
    pruner = build()
    loader = make(pruner, drop_last=True)
    assert train(pruner, loader) == 7
    pruner.end_epoch()
    train(pruner, islice(loader, 6))
    with pytest.warns(EmpruneWarning, match="with 24 of its 30"):
        pruner.end_epoch()


def test_the_remainder_of_a_plain_loader_over_the_sampler_is_not_said() -> None:
    pruner = build()
    train(pruner, ((ids, 0) for _, ids in DataLoader(Positions(N), BATCH, sampler=PlanSampler(pruner), drop_last=True)))
    pruner.end_epoch()
    train(pruner, islice(((ids, 0) for _, ids in DataLoader(Positions(N), BATCH, sampler=PlanSampler(pruner))), 6))
    with pytest.warns(EmpruneWarning, match="with 24 of its 30"):
        pruner.end_epoch()


@pytest.mark.parametrize("policy", ["selective-backprop", "repb"])
def test_samples_that_a_batch_left_out_are_not_said(policy: str) -> None:
    pruner = build(policy)
    for _ in pruner.epochs():
        train(pruner, ByIds(pruner))


# ---- other errors


def test_end_epoch_twice_in_a_row_is_an_error() -> None:
    pruner = build()
    train(pruner, by_loader(pruner))
    pruner.end_epoch()
    with pytest.raises(EpochOrderError, match=r"epoch 1 ends, but none of its 30 .*end_epoch\(\) once after them"):
        pruner.end_epoch()
    assert pruner.epoch == 1


@pytest.mark.parametrize("rate", [0.5, 0.0])
@pytest.mark.parametrize("make", LOADERS)
def test_an_iterator_that_is_kept_over_the_end_of_its_epoch_is_an_error(make: Any, rate: float) -> None:
    pruner = build(rate=rate)
    loader = make(pruner)
    batches = iter(loader)
    train(pruner, islice(batches, 3))
    pruner.end_epoch(partial=True)
    with pytest.raises(EpochOrderError, match=r"of epoch 0, but the pruner is in epoch 1|not in the plan"):
        train(pruner, batches)


def test_an_iterator_that_has_ended_may_be_asked_again() -> None:
    pruner = build()
    batches = iter(by_loader(pruner))
    train(pruner, batches)
    pruner.end_epoch()
    assert list(batches) == []


def test_the_ids_of_another_pruner_are_an_error() -> None:
    pruner, other = build(), build(seed=9)
    with pytest.raises(EpochOrderError, match="not in the plan of the running epoch 0"):
        train(pruner, by_loader(other))


@pytest.mark.parametrize("make", [by_loader, ByIds, lambda p, **o: PlanSampler(p, BATCH * 10, **o)])
def test_drop_last_that_leaves_nothing_is_named_when_the_loader_is_built(make: Any) -> None:
    with pytest.raises(
        ArgumentError, match=r"batch_size is 4.*; allowed: with drop_last at most 3, since epoch 0 trains"
    ):
        make(build(rate=0.95), drop_last=True)
    make(build(rate=0.95))


def test_drop_last_that_leaves_nothing_is_named_where_the_size_is_not_known_before() -> None:
    pruner = build("infobatch-published", warmup_epochs=1)
    loader = PrunedLoader(Positions(N), pruner, N, drop_last=True)
    assert train(pruner, loader) == 1
    pruner.end_epoch()
    assert train(pruner, loader) == 0
    with pytest.raises(EpochOrderError, match=r"none of its .* samples was observed: drop_last left them all out"):
        pruner.end_epoch()


def test_a_loop_over_the_epochs_of_a_run_that_is_over_says_that_it_trains_nothing() -> None:
    pruner, restored = build(), build()
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, BATCH):
            step(pruner, ids)
    with pytest.warns(EmpruneWarning, match="this loop trains nothing: .*build a new Pruner") as told:
        assert list(pruner.epochs()) == []
    assert told[0].filename == __file__
    restored.load_state_dict(pruner.state_dict())
    with warnings.catch_warnings():  # a job that was done is started once more, and has nothing left to do
        warnings.simplefilter("error")
        assert list(restored.epochs()) == []


@pytest.mark.parametrize("make", [by_loader, by_workers])
def test_a_loop_without_epochs_and_without_the_pruner_s_loss_is_told(make: Callable[..., Any]) -> None:
    loader = make(build())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert len(list(loader)) == 8
    with pytest.warns(EmpruneWarning, match="a third round over the plan of epoch 0 begins, and no step"):
        list(loader)
    with warnings.catch_warnings():  # once
        warnings.simplefilter("error")
        list(loader)


@pytest.mark.parametrize("make", [by_loader, by_workers])
def test_rounds_that_are_broken_off_or_trained_are_not_told(make: Callable[..., Any]) -> None:
    pruner = build()
    loader = make(pruner)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            next(iter(loader))
        for _ in pruner.epochs():
            list(loader)  # a look
            train(pruner, loader)
