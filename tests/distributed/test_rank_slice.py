"""The rows of the ranks: each row has one owner, and what ranks compute together does not depend on the cut."""

from __future__ import annotations

import numpy as np
import pytest
from thread_world import on_all_ranks

import emprune.distributed.rank_slice
from emprune.distributed import RankSlice, World


@pytest.mark.parametrize("num_samples", [1, 2, 10, 103])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_each_row_has_one_owner(num_samples: int, size: int) -> None:
    slices = on_all_ranks(lambda world: RankSlice.of(num_samples, world), size)
    rows = [(each.begin, each.end) for each in slices]
    assert (rows[0][0], rows[-1][1]) == (0, num_samples)
    assert [end for _, end in rows[:-1]] == [begin for begin, _ in rows[1:]]
    sizes = [each.size for each in slices]
    assert max(sizes) - min(sizes) <= 1
    assert slices[0].owner(np.arange(num_samples)).tolist() == np.repeat(np.arange(size), sizes).tolist()


def test_an_id_out_of_range_belongs_to_the_nearest_rank() -> None:
    (owner, *_) = on_all_ranks(lambda world: RankSlice.of(10, world).owner(np.array([-5, 99])))
    assert owner.tolist() == [0, 2]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_random_numbers_do_not_depend_on_the_cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(emprune.distributed.rank_slice, "BLOCK", 8)

    def draw(world: World) -> tuple[np.ndarray, float]:
        rng = np.random.Generator(np.random.SFC64(3))
        drawn = RankSlice.of(50, world).draw(rng, lambda generator, out: generator.random(out=out, dtype=np.float32))
        return drawn, rng.random()

    ((whole, after),) = on_all_ranks(draw, 1)
    assert len(np.unique(whole)) == 50
    parts = on_all_ranks(draw, size)
    assert np.array_equal(np.concatenate([drawn for drawn, _ in parts]), whole)
    assert {state for _, state in parts} == {after}  # the generator stands at the same place on every rank


def test_questions_are_answered_by_their_owners_in_order() -> None:
    values = np.arange(20) ** 2

    def ask(world: World) -> list[int]:
        owned = RankSlice.of(20, world)
        ids = np.random.default_rng(world.rank).permutation(20)[: 5 + world.rank]
        found = owned.ask(owned.owner(ids), ids, lambda asked: values[owned.begin : owned.end][asked - owned.begin])
        assert found.tolist() == values[ids].tolist()
        return found.tolist()

    assert [len(found) for found in on_all_ranks(ask)] == [5, 6, 7]


@pytest.mark.parametrize("size", [1, 3])
def test_the_mean_is_that_of_the_finite_values(size: int) -> None:
    values = np.float32([1, np.nan, 2.5, np.inf, -3, 3e38, 3e38])

    def mean(world: World) -> float:
        owned = RankSlice.of(len(values), world)
        return float(owned.finite_mean(values[owned.begin : owned.end]))

    expected = np.float32(values[np.isfinite(values)].astype(np.float64).mean())
    assert on_all_ranks(mean, size) == [expected] * size
    assert on_all_ranks(lambda world: RankSlice.of(3, world).finite_mean(np.float32([np.nan])), size) == [0] * size


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, np.nan, -2.5, np.inf, 4], -2.5),
        ([-1, np.nan, -np.inf, 3, 0], -1),
        ([3, 1, 2, np.inf, np.nan], 0),
        ([np.nan, np.nan, np.nan, np.inf, np.inf], 0),
    ],
)
@pytest.mark.parametrize("size", [1, 3])
def test_the_lowest_is_that_of_the_finite_values_below_zero(values: list[float], expected: float, size: int) -> None:
    def lowest(world: World) -> float:
        owned = RankSlice.of(len(values), world)
        return float(owned.lowest(np.float32(values)[owned.begin : owned.end]))

    assert on_all_ranks(lowest, size) == [expected] * size


def test_sums_over_the_ranks() -> None:
    def sums(world: World) -> tuple[int, tuple[int, int], list[int]]:
        owned = RankSlice.of(9, world)
        return (
            owned.total(world.rank + 1),
            owned.before_and_total(10),
            owned.all_gather(np.array([world.rank])).tolist(),
        )

    assert on_all_ranks(sums) == [(6, (10 * rank, 30), [0, 1, 2]) for rank in range(3)]
