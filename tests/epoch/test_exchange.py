"""The exchange of observations among ranks, against a naive loop; and which of them count twice."""

from __future__ import annotations

import numpy as np
import pytest
from thread_world import on_all_ranks

from emprune.distributed import RankSlice, World
from emprune.epoch.exchange import deduplicated, exchange, last_passes
from emprune.table import Observations

N = 20


def observed(ids: list[int], step: list[int], *, training: bool = True, rank: int = 0) -> Observations:
    """Losses that say which rank and which place they come from."""
    count = len(ids)
    loss = np.arange(count, dtype=np.float32) + 100 * rank
    return Observations.of(
        ids=np.array(ids, dtype=np.int64), loss=loss, memory=-loss, doubt=2 * loss, step=np.array(step, dtype=np.int64),
        trained=np.full(count, training), is_train_step=np.full(count, training),
    )  # fmt: skip


@pytest.mark.parametrize("partitioned", [True, False])
def test_every_rank_gets_its_rows_by_step_and_then_by_rank(partitioned: bool) -> None:
    rng = np.random.default_rng(0)
    given = [observed(rng.integers(0, N, 6).tolist(), [0, 0, 1, 1, 2, 2], rank=rank) for rank in range(3)]

    def run(world: World) -> tuple[RankSlice, Observations]:
        owned = RankSlice.of(N, world) if partitioned else RankSlice.whole(N)
        return owned, exchange(given[world.rank], owned, world)

    for owned, found in on_all_ranks(run):
        expected = [
            (int(each.ids[i]), float(each.loss[i]))
            for step in range(3)
            for each in given
            for i in range(6)
            if each.step[i] == step and owned.begin <= each.ids[i] < owned.end
        ]
        assert list(zip(found.ids.tolist(), found.loss.tolist(), strict=True)) == expected
        assert np.array_equal(found.memory, -found.loss)
        assert np.array_equal(found.extra["doubt"], 2 * found.loss)


def test_a_rank_without_observations_takes_part() -> None:
    def run(world: World) -> list[int]:
        ids = [] if world.rank else [4, 7]
        return exchange(observed(ids, [0] * len(ids)), RankSlice.whole(N), world).ids.tolist()

    assert on_all_ranks(run) == [[4, 7]] * 3


def test_a_sample_is_consumed_once_an_epoch() -> None:
    seen = observed([3, 5, 3, 8, 5], [0, 0, 1, 1, 1])
    consumed_rows = np.zeros(N, dtype=bool)
    consumed_rows[8] = True
    assert deduplicated(seen, consumed_rows, in_batch=False).loss.tolist() == [0, 1]
    assert deduplicated(seen, consumed_rows, in_batch=True).loss.tolist() == [0, 1, 2, 3, 4]  # all were trained


def test_what_trains_nothing_is_kept() -> None:
    seen = observed([3, 3, 8], [0, 1, 1], training=False)
    assert len(deduplicated(seen, np.ones(N, dtype=bool), in_batch=False).ids) == 3


def test_the_last_of_several_passes_is_kept_and_trained_if_one_was() -> None:
    seen = observed([3, 5, 3, 3, 8, 5], [0, 0, 1, 2, 2, 2])
    seen.trained[:] = [True, False, False, False, False, False]
    seen.is_train_step[3] = False
    found = last_passes(seen)
    assert found.ids.tolist() == [3, 3, 8, 5]
    assert found.loss.tolist() == [2, 3, 4, 5]
    assert found.trained.tolist() == [True, False, False, False]
    assert found.is_train_step.tolist() == [True, False, True, True]
    assert seen.trained.tolist() == [True] + [False] * 5
    once = observed([3, 5], [0, 0])
    assert last_passes(once) is once
