"""What no classification can be trained on is named, with the row and with the function for the task."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from emprune import ArgumentError, Pruner
from emprune.scoring import classification, confidence, gradient_products
from emprune.scoring.static import el2n, wrong_margin

EACH: dict[str, Callable[[torch.Tensor, torch.Tensor], object]] = {
    "classification": classification,
    "confidence": confidence,
    "gradient_products": lambda logits, labels: gradient_products(logits, labels, torch.ones(len(logits), 3)),
}
LOGITS = torch.zeros(4, 3)
FITTING = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])


def with_row(row: list[float]) -> torch.Tensor:
    """Soft targets whose third row is another."""
    return torch.cat([FITTING[:2], torch.tensor([row]), FITTING[3:]])


@pytest.mark.parametrize("function", EACH)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (with_row([1.0, 1.0, 1.0]), "a row that sums to 3, row 2 of the batch'; .* emprune.scoring.multilabel"),
        (with_row([0.0, 0.0, 0.0]), "a row that sums to 0, row 2 of the batch'; .* emprune.scoring.multilabel"),
        (with_row([1.5, -0.5, 0.0]), "a row with -0.5, row 2 of the batch"),
        (with_row([float("nan"), 1.0, 0.0]), "a row that sums to nan, row 2 of the batch"),
        (with_row([0.5, 0.4, 0.0]), r"a row that sums to 0\.9, row 2 of the batch"),
        (torch.tensor([0, 1, 3, 9]), "3 in row 2 of the batch'; allowed: class indices from 0 to 2"),
        (torch.tensor([0, -1, 2, 0]), "-1 in row 1 of the batch'; .* leave those without out of the data set"),
        (torch.tensor([0, 1, 2, -100]), "-100 in row 3 of the batch'; .*emprune.scoring.tokens"),
        (torch.zeros(4), r"float32 of shape \(4,\)'; .*emprune.scoring.regression; class indices are .*labels.long"),
        (torch.zeros(4, 1), r"float32 of shape \(4, 1\)'; .*emprune.scoring.regression"),
        (torch.zeros(4, 1).long(), r"int64 of shape \(4, 1\)'; .*labels.squeeze\(1\)"),
        (torch.zeros(4, dtype=torch.int32), r"int32 of shape \(4,\)'; .*labels.long\(\)"),
        (torch.zeros(4, 3).long(), r"int64 of shape \(4, 3\)'; .*emprune.scoring.multilabel.*labels.float\(\)"),
        (torch.zeros(4, 3).bool(), r"bool of shape \(4, 3\)'; .*emprune.scoring.multilabel"),
        (torch.zeros(3).long(), r"int64 of shape \(3,\)'; allowed: class indices, int64 of shape \(4,\)"),
        ([0, 1, 2, 0], "list"),
    ],
)
def test_targets_of_another_task_are_named(function: str, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"labels is .*{message}"):
        EACH[function](LOGITS, labels)


@pytest.mark.parametrize("function", EACH)
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (torch.zeros(4, 1), r"of shape \(4, 1\)'; .*emprune.scoring.binary.*emprune.scoring.regression"),
        (torch.zeros(4), r"of shape \(4,\)'; .*emprune.scoring.binary"),
        (torch.zeros(4, 5, 3), r"of shape \(4, 5, 3\)'; .*emprune.scoring.tokens"),
        (torch.zeros(4, 3, 8, 8), r"of shape \(4, 3, 8, 8\)'; .*emprune.scoring.dense"),
        (torch.zeros(4, 3).long(), "torch.int64 of shape"),
        ([[0.0, 1.0]], "list"),
    ],
)
def test_logits_of_another_task_are_named(function: str, logits: torch.Tensor, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"logits is '.*{message}"):
        EACH[function](logits, torch.zeros(4, dtype=torch.int64))


def test_the_output_of_a_model_is_answered_with_its_logits() -> None:
    with pytest.raises(ArgumentError, match=r"logits is 'SimpleNamespace'; .* pass its logits"):
        classification(SimpleNamespace(logits=LOGITS), torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("score", [el2n, wrong_margin])
def test_static_scores_name_a_label_that_is_no_class(score: Callable[..., torch.Tensor]) -> None:
    with pytest.raises(ArgumentError, match="labels is '-100 in row 1 of the batch'"):
        score(LOGITS, torch.tensor([0, -100, 1, 2]))
    with pytest.raises(ArgumentError, match=r"labels is 'torch\.float32 of shape"):
        score(LOGITS, FITTING)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rounding_does_not_make_a_distribution_another(dtype: torch.dtype) -> None:
    soft = torch.softmax(torch.randn(64, 1000, generator=torch.Generator().manual_seed(0)), dim=1)
    assert classification(torch.zeros(64, 1000), soft.to(dtype)).loss.isfinite().all()


def test_an_empty_batch_passes() -> None:
    for labels in (torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)):
        assert classification(torch.zeros(0, 3), labels).loss.shape == (0,)


def test_logits_that_are_nan_are_left_to_the_pruner_which_names_the_sample() -> None:
    logits = LOGITS.clone()
    logits[1] = torch.nan
    pruner = Pruner(4, "emp", prune_rate=0.5, num_epochs=2, warmup_epochs=1, on_nonfinite="quarantine")
    loss = pruner.loss(torch.arange(4), *classification(logits, torch.tensor([0, 1, 2, 0])))
    assert loss.isfinite()
    assert pruner.report().quarantined_ids == (1,)


def test_inside_of_a_compiled_or_mapped_function_nothing_is_read() -> None:
    several = with_row([1.0, 1.0, 1.0])
    compiled = torch.compile(classification, backend="eager", fullgraph=True)
    for loss in (
        compiled(LOGITS, several).loss,
        torch.vmap(lambda logits, labels: classification(logits[None], labels[None]).loss[0])(LOGITS, several),
    ):
        assert loss.isnan().tolist() == [False, False, True, False]
    hard = torch.tensor([0, 1, 2, 0])
    assert torch.equal(compiled(LOGITS, hard).loss, classification(LOGITS, hard).loss)
