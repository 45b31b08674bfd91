"""EMP and LFL: which samples they prefer, where unseen ones stand, and a run without a memory term."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LOSS, chosen, loss_of, memory_of
from thread_world import on_all_ranks

from emprune import EMP, LFL, ArgumentError, IdBatches, Pruner


def test_lfl_takes_the_highest_losses_and_unseen_samples_first() -> None:
    assert chosen(LFL(), 2) == {4, 5}
    assert chosen(LFL(), 2, np.array([0.1, np.inf, 0.3, 0.4, 0.5, 0.6])) == {1, 5}


def test_emp_adds_beta_times_the_memory_term() -> None:
    memory = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert chosen(EMP(beta=0.0, rule="top"), 1, memory=memory) == {5}
    assert chosen(EMP(beta=0.4, rule="top"), 1, memory=memory) == {5}
    assert chosen(EMP(beta=0.6, rule="top"), 1, memory=memory) == {0}


def test_emp_with_beta_0_and_top_is_lfl() -> None:
    for k in range(1, 6):
        assert chosen(EMP(beta=0.0, rule="top"), k, memory=LOSS[::-1]) == chosen(LFL(), k)


@pytest.mark.parametrize(("unseen", "expected"), [("first", {1, 5}), ("mean", {5, 4})])
def test_emp_places_unseen_samples(unseen: str, expected: set[int]) -> None:
    loss = np.array([0.1, np.inf, 0.3, 0.4, 0.5, 0.6])
    assert chosen(EMP(rule="top", unseen=unseen), 2, loss) == expected


def test_a_score_beyond_float32_is_the_largest_and_not_an_unseen_one() -> None:
    huge = float(np.finfo(np.float32).max)
    loss = np.array([huge, np.inf, 0.3, np.inf, 0.5, 0.6])
    memory = np.array([huge, 0, 0, 0, 0, 0])
    assert chosen(EMP(beta=1e300, rule="top", unseen="first"), 2, loss, memory) == {1, 3}
    assert chosen(EMP(beta=2.0, rule="top", unseen="mean"), 1, loss, memory) == {0}


def test_without_a_memory_term_the_score_is_the_loss() -> None:
    none = np.full(6, np.nan)
    assert chosen(EMP(rule="top"), 2, memory=none) == chosen(LFL(), 2)
    partly = np.array([0.1, np.inf, np.nan, 0.4, 0.5, 0.6])  # never seen, quarantined
    for k in range(1, 6):
        assert chosen(EMP(rule="top", unseen="first"), k, partly, memory=none) == chosen(LFL(), k, partly)
    for rule in ("sample", "threshold"):
        for epoch in range(5):
            with_zeros = chosen(EMP(rule=rule), 3, memory=np.zeros(6), epoch=epoch)
            assert chosen(EMP(rule=rule), 3, memory=none, epoch=epoch) == with_zeros


def train(pruner: Pruner, epochs: int, *, has_memory: bool = False) -> list[list[int]]:
    """Train some epochs; the ids of each step."""
    trained = []
    for _ in range(epochs):
        for ids in IdBatches(pruner, 4):
            memory = memory_of(ids, pruner.epoch) if has_memory else None
            pruner.loss(ids, loss_of(ids, pruner.epoch), memory)
            trained.append(ids.tolist())
        pruner.end_epoch()
    return trained


def new_pruner(**options: object) -> Pruner:
    return Pruner(40, "emp", **{"prune_rate": 0.5, "num_epochs": 5, **options})


@pytest.mark.parametrize("options", [{}, {"on_nonfinite": "quarantine"}])
def test_a_run_without_a_memory_term_is_one_with_beta_0_and_warns_once(options: dict[str, str]) -> None:
    plain = new_pruner(**options)
    with pytest.warns(UserWarning, match="no memory term was given; EMP ranks by the loss alone") as told:
        trained = train(plain, 5)
    assert len(told) == 1
    assert plain.report().quarantined == 0
    given = Pruner(40, EMP(beta=0.0), prune_rate=0.5, num_epochs=5)
    assert trained == train(given, 5, has_memory=True)


@pytest.mark.parametrize("has_memory", [False, True])
@pytest.mark.parametrize("mid_epoch", [False, True])
@pytest.mark.filterwarnings("ignore:no memory term")
def test_a_restored_run_goes_on_as_it_began(has_memory: bool, mid_epoch: bool) -> None:
    whole, saved, restored = new_pruner(), new_pruner(), new_pruner()
    expected = train(whole, 5, has_memory=has_memory)
    found = train(saved, 2, has_memory=has_memory)
    if mid_epoch:
        ids = next(iter(IdBatches(saved, 4)))
        saved.loss(ids, loss_of(ids, 2), memory_of(ids, 2) if has_memory else None)
        found.append(ids.tolist())
    restored.load_state_dict(saved.state_dict())
    ids = next(iter(IdBatches(restored, 4)))
    with pytest.raises(ArgumentError, match=r"memory is .*, as in the steps before"):
        restored.loss(ids, loss_of(ids, 2), None if has_memory else memory_of(ids, 2))
    assert found + train(restored, 3, has_memory=has_memory) == expected


@pytest.mark.filterwarnings("ignore:no memory term")
@pytest.mark.parametrize("partition", [None, 4])
def test_ranks_without_a_memory_term_train_what_one_does(partition: int | None) -> None:
    def run(world: object) -> list[list[int]]:
        return train(new_pruner(world=world, partition_batch_size=partition), 5)

    alone = new_pruner()
    expected = []
    for _ in range(5):
        plan = IdBatches(alone, 8)
        for ids in plan:
            alone.loss(ids, loss_of(ids, alone.epoch))
            expected.append(sorted(ids.tolist()))
        alone.end_epoch()
    first, second = on_all_ranks(run, 2)
    assert [sorted({*here, *there}) for here, there in zip(first, second, strict=True)] == expected


def test_the_papers_score_is_sampled_in_proportion() -> None:
    assert EMP.paper().settings() == {"beta": 1.0, "rule": "sample", "gamma": 1.0, "unseen": "mean"}
    assert EMP.paper(beta=3).settings()["beta"] == 3
