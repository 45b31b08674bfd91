"""Checks of a step's arguments: what passes, and what is said of the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emprune import ArgumentError
from emprune.checks import check_batch_size, check_ids, check_per_sample, check_range


def test_what_fits_passes() -> None:
    check_batch_size(1)
    check_ids(torch.arange(3))
    check_per_sample("loss", torch.ones(3, dtype=torch.bfloat16), 3)
    check_range(np.array([0, 9]), 10)
    check_range(np.array([], dtype=np.int64), 10)


@pytest.mark.parametrize("size", [0, -1, 2.0, None])
def test_a_batch_size_is_an_integer_from_1(size: object) -> None:
    with pytest.raises(ArgumentError, match=f"batch_size is {size}; allowed: an integer of at least 1"):
        check_batch_size(size)


@pytest.mark.parametrize(("ids", "worst"), [([0, 10, 12], 12), ([-3, -1, 12], -3)])
def test_the_id_furthest_out_is_named(ids: list[int], worst: int) -> None:
    with pytest.raises(ArgumentError, match=f"ids is {worst}; allowed: dataset positions from 0 to 9"):
        check_range(np.array(ids), 10)


def test_a_value_is_named_by_the_argument_that_it_came_as() -> None:
    with pytest.raises(ArgumentError, match="doubt is 'a scalar'; allowed: one value a sample"):
        check_per_sample("doubt", torch.tensor(1.0), 3)
