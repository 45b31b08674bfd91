"""What a step gives, held against what the policy reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from emprune import ArgumentError, get_policy
from emprune.epoch.inputs import StepInputs

VALUES = torch.ones(4)


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ("random", ("loss", "memory")),
        ("emp", ("loss", "memory")),
        ("kakurenbo", ("loss", "memory", "confidence")),
        ("divbs", ("loss", "memory")),  # its products are of the batch alone
    ],
)
def test_what_is_recorded_of_each_sample(policy: str, names: tuple[str, ...]) -> None:
    assert StepInputs(get_policy(policy)).recorded == names


def test_a_memory_term_is_recorded_where_it_is_given() -> None:
    inputs = StepInputs(get_policy("lfl"))
    assert list(inputs.of_samples({"loss": VALUES, "memory": None}, 4)) == ["loss"]
    assert list(inputs.of_samples({"loss": VALUES, "memory": VALUES}, 4)) == ["loss", "memory"]


@pytest.mark.parametrize(
    ("policy", "values", "message"),
    [
        ("emp", {"loss": VALUES}, "memory is None; allowed: .* 4 ids, since policy 'emp' reads loss, memory. Call"),
        ("kakurenbo", {"loss": VALUES, "memory": VALUES}, r"confidence is None; .*\. Pass .*scoring\.confidence"),
        ("kakurenbo", {"loss": VALUES, "confidence": torch.ones(3)}, "confidence is 'of shape"),
        (
            "lfl",
            {"loss": VALUES, "confidence": VALUES},
            "confidence is 'given'; allowed: what policy 'lfl' reads, loss",
        ),
    ],
)
def test_what_is_missing_or_not_read_is_named(policy: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        StepInputs(get_policy(policy)).of_samples(values, 4)


def test_values_of_a_batch_come_without_gradient_and_are_asked_for() -> None:
    inputs = StepInputs(get_policy("divbs"))
    products = torch.eye(4, requires_grad=True)
    found = inputs.of_batch({"loss": VALUES, "gradient_products": products}, 4)
    assert list(found) == ["gradient_products"]
    assert not found["gradient_products"].requires_grad
    for wrong in (None, torch.eye(3), torch.eye(4).long(), torch.tensor(1.0)):
        with pytest.raises(ArgumentError, match=r"gradient_products is .*scoring\.gradient_products"):
            inputs.of_batch({"loss": VALUES, "gradient_products": wrong}, 4)
