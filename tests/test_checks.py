"""Checks of a step's arguments: what passes, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from emprune import ArgumentError
from emprune.checks import check_batch_size, check_ids, check_per_sample, check_range, integer, number
from emprune.scoring import classification


def test_what_fits_passes() -> None:
    check_batch_size(1)
    check_ids(torch.arange(3))
    check_per_sample("loss", torch.ones(3, dtype=torch.bfloat16), 3)
    check_range(np.array([0, 9]), 10)
    check_range(np.array([], dtype=np.int64), 10)


@pytest.mark.parametrize("size", [0, -1, 2.0, None, True])
def test_a_batch_size_is_an_integer_from_1(size: object) -> None:
    with pytest.raises(ArgumentError, match=f"batch_size is {size}; allowed: an integer of at least 1"):
        check_batch_size(size)


@pytest.mark.parametrize(("ids", "worst"), [([0, 10, 12], 12), ([-3, -1, 12], -3)])
def test_the_id_furthest_out_is_named(ids: list[int], worst: int) -> None:
    with pytest.raises(ArgumentError, match=f"ids is {worst}; allowed: dataset positions from 0 to 9"):
        check_range(np.array(ids), 10)


def test_a_loss_of_each_sample_with_each_is_told_from_several_losses_a_sample() -> None:
    prediction, target = torch.zeros(4, 1), torch.ones(4)
    with pytest.raises(ArgumentError, match=r"\(4, 4\).*prediction of shape \[B, 1\] and a target of shape \[B\]"):
        check_per_sample("loss", (prediction - target) ** 2, 4)
    with pytest.raises(ArgumentError, match=r"\(4, 3\).* Average each sample's: loss.flatten\(1\).mean\(dim=1\)"):
        check_per_sample("loss", torch.zeros(4, 3), 4)


@pytest.mark.parametrize("size", [np.int64(3), np.array(3), torch.tensor(3)])
def test_a_batch_size_comes_back_as_an_integer_of_python(size: object) -> None:
    assert type(check_batch_size(size)) is int


def test_a_loss_of_several_values_a_sample_is_answered_with_their_mean() -> None:
    with pytest.raises(ArgumentError, match=r"loss is 'of shape \(3, 2\)'; .*loss\.flatten\(1\)\.mean\(dim=1\)"):
        check_per_sample("loss", torch.ones(3, 2), 3)


def test_what_a_scoring_function_returned_is_answered_with_how_to_unpack_it() -> None:
    scored = classification(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    with pytest.raises(ArgumentError, match=r"loss is 'PerSample'; .*pruner\.loss\(ids, \*scored\)"):
        check_per_sample("loss", scored, 3)


def test_a_reduced_loss_is_answered_for_any_task() -> None:
    with pytest.raises(ArgumentError) as caught:
        check_per_sample("loss", torch.tensor(1.0), 3)
    for words in ('reduction="none"', "classification", "binary", "multilabel", "regression", "dense", "tokens"):
        assert words in str(caught.value)


@pytest.mark.parametrize("value", [True, np.bool_(True), 1.0, "1", None, np.float32(2), torch.tensor(2.5)])
def test_what_is_no_integer_is_named(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"epochs is .*; allowed: an integer of at least 0"):
        integer("epochs", value, 0)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.5), np.int64(0), torch.tensor(0.25), np.array(0.5)])
def test_a_number_comes_back_as_one_of_python(value: Any) -> None:
    found = number("rate", value, "a number below 1", lambda rate: rate < 1)
    assert type(found) in (int, float)
    assert found == float(value)


@pytest.mark.parametrize("value", [True, "0.5", None, 2, float("nan"), np.float64(1), torch.ones(1)])
def test_what_is_no_number_or_does_not_fit_is_named(value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"rate is .*; allowed: a number below 1"):
        number("rate", value, "a number below 1", lambda rate: rate < 1)


def test_a_value_is_named_by_the_argument_that_it_came_as() -> None:
    with pytest.raises(ArgumentError, match="doubt is 'a scalar'; allowed: one value a sample"):
        check_per_sample("doubt", torch.tensor(1.0), 3)
