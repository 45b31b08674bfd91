"""What a step gives, held against what the policy reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from emprune import ArgumentError, get_policy
from emprune.epoch.inputs import LOSS_ALONE, StepInputs

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
        (
            "emp",
            {"loss": VALUES},
            "memory is None; allowed: .* 4 ids, since policy 'emp' reads loss, memory. Call",
        ),
        ("kakurenbo", {"loss": VALUES, "memory": VALUES}, r"confidence is None; .*\. Of a .*scoring\.confidence"),
        ("kakurenbo", {"loss": VALUES, "confidence": torch.ones(3)}, "confidence is 'of shape"),
        ("emp", {"loss": VALUES, "memroy": VALUES}, r"memroy is 'given'; .* Did you mean 'memory'\?"),
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


@pytest.mark.parametrize(
    ("policy", "advised"),
    [
        ("emp", ["classification", "binary", "multilabel", "regression", "dense", "tokens", "contrastive", "memory="]),
        ("kakurenbo", ["emprune.scoring.confidence", "torch.exp(-loss.detach())"]),
        ("divbs", ["emprune.scoring.gradient_products", "features @ features.T"]),
    ],
)
def test_advice_is_for_any_task(policy: str, advised: list[str]) -> None:
    inputs = StepInputs(get_policy(policy))
    ask = inputs.of_batch if policy == "divbs" else inputs.of_samples
    with pytest.raises(ArgumentError) as caught:
        ask({"loss": VALUES}, 4)
    for words in (*advised, *LOSS_ALONE):
        assert words in str(caught.value)


def test_policies_that_are_said_to_read_the_loss_alone_do() -> None:
    for name in LOSS_ALONE:
        assert get_policy(name).inputs == ("loss",)


def test_values_of_a_batch_come_without_gradient_and_are_asked_for() -> None:
    inputs = StepInputs(get_policy("divbs"))
    products = torch.eye(4, requires_grad=True)
    found = inputs.of_batch({"loss": VALUES, "gradient_products": products}, 4)
    assert list(found) == ["gradient_products"]
    assert not found["gradient_products"].requires_grad
    for wrong in (None, torch.eye(3), torch.eye(4).long(), torch.tensor(1.0)):
        with pytest.raises(ArgumentError, match=r"gradient_products is .*scoring\.gradient_products"):
            inputs.of_batch({"loss": VALUES, "gradient_products": wrong}, 4)
