"""The k-th smallest of very many keys is found as np.partition finds it, however they are laid out."""

from __future__ import annotations

import numpy as np
import pytest

from emprune.distributed.topk import LARGE, kth_smallest
from emprune.selection.topk import marked_at, random_subset, smallest

SIZE = LARGE + 12_345
RNG = np.random.default_rng(0)
LAYOUTS = {
    "random": RNG.gamma(0.5, size=SIZE),
    "sorted": np.arange(SIZE, dtype=np.float64),
    "equal": np.ones(SIZE),
    "few values": RNG.integers(0, 3, SIZE),
    "in step with the probes": np.where(np.arange(SIZE) % (SIZE // 2**16) == 0, 1e6, RNG.random(SIZE)),
    "a third NaN": np.where(RNG.random(SIZE) < 0.33, np.nan, RNG.random(SIZE)),
    "infinite ends": RNG.choice([-np.inf, 0.0, 1.0, np.inf], SIZE),
}


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("name", LAYOUTS)
def test_kth_smallest_of_very_many(name: str, part: float) -> None:
    keys = LAYOUTS[name].astype(np.float32)
    k = max(1, round(part * SIZE))
    assert np.array_equal(kth_smallest(keys, k), np.partition(keys, k - 1)[k - 1], equal_nan=True)
    ids = smallest(keys, k, np.random.default_rng(1))
    assert len(np.unique(ids)) == len(ids) == k
    rest = np.delete(keys, ids)
    assert not (rest < np.nanmax(keys[ids], initial=-np.inf)).any()
    assert not np.isnan(keys[ids]).any() or np.isnan(rest).all()


@pytest.mark.parametrize("k", [0, 1, 400_000, SIZE - 1, SIZE])
def test_a_random_part_of_very_many_is_exact(k: int) -> None:
    mask = np.ones(SIZE, dtype=bool)
    mask[::1000] = False
    ids = random_subset(mask, k, np.random.default_rng(2))
    assert len(np.unique(ids)) == len(ids) == min(k, np.count_nonzero(mask))
    assert mask[ids].all()


@pytest.mark.parametrize("size", [1, 1023, 1024, 5000, 40_000])
@pytest.mark.parametrize("share", [0.001, 0.3, 1.0])
def test_a_few_of_many_marked_rows_are_found_as_by_writing_all_down(size: int, share: float) -> None:
    rng = np.random.default_rng(size)
    mask = rng.random(size) < share
    mask[size // 2] = True
    which = rng.integers(0, np.count_nonzero(mask), 9)
    which[0] = np.count_nonzero(mask) - 1
    np.testing.assert_array_equal(marked_at(mask, which), np.flatnonzero(mask)[which])
    assert marked_at(mask, which[:0]).tolist() == []
