"""What a step gives, held against what the policy reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from thread_world import on_all_ranks

from emprune import ArgumentError, Policy, get_policy
from emprune.epoch.inputs import LOSS_ALONE, StepInputs
from emprune.errors import RankError

VALUES = torch.ones(4)


class Reader(Policy):
    """Needs the memory term, unlike EMP."""

    name = "reader"
    inputs = ("loss", "memory")


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
            Reader(),
            {"loss": VALUES},
            "memory is None; allowed: .* 4 ids, since policy 'reader' reads loss, memory. Call",
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
def test_what_is_missing_or_not_read_is_named(policy: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        StepInputs(get_policy(policy) if isinstance(policy, str) else policy).of_samples(values, 4)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.filterwarnings("ignore:no memory term")
def test_the_first_step_decides_whether_the_others_have_a_memory_term(given: bool) -> None:
    inputs, both, one = StepInputs(get_policy("emp")), {"loss": VALUES, "memory": VALUES}, {"loss": VALUES}
    for values in (both, one):  # looked at, not recorded: nothing is decided
        inputs.of_samples(values, 4)
    assert inputs.read == ("loss", "memory")
    inputs.took(given)
    for later in (inputs, StepInputs(get_policy("emp"), has_memory=given)):
        assert later.read == (("loss", "memory") if given else ("loss",))
        later.of_samples(both if given else one, 4)
        with pytest.raises(ArgumentError, match=r"memory is .* as in the steps before\. .* in all of them, or in none"):
            later.of_samples(one if given else both, 4)


def test_going_without_is_warned_of_once() -> None:
    inputs = StepInputs(get_policy("emp"))
    with pytest.warns(UserWarning, match="no memory term was given; EMP ranks by the loss alone") as told:
        inputs.took(False)
    inputs.took(False)
    StepInputs(get_policy("emp"), has_memory=False).took(False)
    StepInputs(get_policy("lfl")).took(False)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("ranks", "read"),
    [
        ([True, None, True], ("loss", "memory")),
        ([None, False, None], ("loss",)),
        ([None, None, None], ("loss", "memory")),
        ([True, None, False], None),
    ],
)
def test_ranks_agree_on_the_memory_term(ranks: list[bool | None], read: tuple[str, ...] | None) -> None:
    def agree(world: Any) -> tuple[str, ...]:
        inputs = StepInputs(get_policy("emp"), ranks[world.rank])
        inputs.agree(world)
        return inputs.read

    found = on_all_ranks(agree)
    if read is None:
        assert {type(error) for error in found} == {RankError}
        assert {str(error).split(".")[0] for error in found} == {
            "ranks disagree on memory: rank 0 gave a memory term, rank 2 none"
        }
    else:
        assert found == [read] * 3


@pytest.mark.parametrize(
    ("policy", "advised"),
    [
        (Reader(), ["classification", "binary", "multilabel", "regression", "dense", "tokens", "contrastive"]),
        (Reader(), ["memory="]),
        ("kakurenbo", ["emprune.scoring.confidence", "torch.exp(-loss.detach())"]),
        ("divbs", ["emprune.scoring.gradient_products", "features @ features.T"]),
    ],
)
def test_advice_is_for_any_task(policy: Any, advised: list[str]) -> None:
    inputs = StepInputs(get_policy(policy) if isinstance(policy, str) else policy)
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
