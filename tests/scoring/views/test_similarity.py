"""Directions of any length, and the softmax over similarities in chunks against whole matrices in float64."""

from __future__ import annotations

import pytest
import torch
from naive_contrast import drawn

from emprune import ArgumentError
from emprune.scoring.views.similarity import log_sum_exp, normalised


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1.0, 1e25, 3e38])
def test_a_direction_does_not_depend_on_the_length(scale: float) -> None:
    features = torch.tensor([[0.6, -0.8], [1.0, 0.0]])
    torch.testing.assert_close(normalised("x", features * scale), features)


def test_precision_is_that_of_sums() -> None:
    assert normalised("x", torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32
    assert normalised("x", torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64


def test_rows_of_zeros_are_counted_and_the_first_ten_named() -> None:
    with pytest.raises(ArgumentError, match="keys is 'zero in 12 of 12 rows: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …'"):
        normalised("keys", torch.zeros(12, 3))


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
@pytest.mark.parametrize("skips", [0, 2])
def test_the_softmax_is_that_of_the_whole_matrix(chunk_size: int, skips: int) -> None:
    anchors, others = (normalised("x", x.double()) for x in (drawn(5, 4)[0], drawn(7, 4, seed=1)[0]))
    skip = torch.tensor([[0, 6], [1, 2], [2, 0], [5, 3], [6, 4]])[:, :skips]
    leaves = [x.clone().requires_grad_() for x in (anchors, others)]
    log_z, spread = log_sum_exp(
        *leaves, skip if skips else None, 0.3, entropy=True, chunk_size=chunk_size
    )  # fmt: skip
    right = [x.clone().requires_grad_() for x in (anchors, others)]
    s = (right[0] @ right[1].T / 0.3).scatter(1, skip, -torch.inf)
    log_p = torch.log_softmax(s.detach(), dim=1)
    torch.testing.assert_close(log_z, s.logsumexp(dim=1))
    torch.testing.assert_close(spread, -torch.where(log_p.isinf(), 0, log_p.exp() * log_p).sum(dim=1))
    assert not spread.requires_grad
    slope = torch.linspace(-1, 2, 5, dtype=torch.float64)
    (log_z * slope).sum().backward()
    (s.logsumexp(dim=1) * slope).sum().backward()
    for leaf, reference in zip(leaves, right, strict=True):
        torch.testing.assert_close(leaf.grad, reference.grad)


def test_no_entropy_unless_asked_for() -> None:
    features = normalised("x", drawn(5, 4)[0])
    assert log_sum_exp(features, features, None, 0.3, entropy=False)[1].tolist() == [0] * 5
