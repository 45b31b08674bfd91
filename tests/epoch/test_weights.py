"""Weights by id, from a row a sample or from the planned samples alone: what a dict would give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emprune.epoch.weights import SparseWeights, Weights

N = 40
IDS = np.random.default_rng(0).permutation(N)[:15]
BY_ID = dict(zip(IDS.tolist(), np.random.default_rng(1).random(15, dtype=np.float32).tolist(), strict=True))


def dense() -> Weights:
    column = np.full(N, np.nan, dtype=np.float32)
    column[list(BY_ID)] = list(BY_ID.values())
    return Weights(column)


def sparse() -> Weights:
    ids = np.array([*BY_ID, *list(BY_ID)[:3]])  # the padding repeats some
    return SparseWeights(ids, np.array([BY_ID[i] for i in ids.tolist()], dtype=np.float32))


@pytest.mark.parametrize("build", [dense, sparse])
def test_each_id_has_its_weight_and_none_outside_the_plan(build) -> None:
    weights, ids = build(), torch.arange(N).flip(0).repeat(2)
    expected = [BY_ID.get(i, np.nan) for i in ids.tolist()]
    np.testing.assert_array_equal(weights(ids).numpy(), np.float32(expected))


def test_an_id_that_is_no_position_is_an_error_or_outside_the_plan() -> None:
    for bad in (-1, N, 2**40):
        with pytest.raises((IndexError, RuntimeError)):
            dense()(torch.tensor([bad]))
        assert torch.isnan(sparse()(torch.tensor([bad]))).all()
