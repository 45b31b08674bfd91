"""What a classification is given: shapes and dtypes at once, values where that waits for no device.

Where it would wait, a target that is no distribution makes its row's loss NaN, so that the pruner names the sample when
the epoch ends; a class index out of range is for the device's own assertion.
"""

from __future__ import annotations

import math

import torch

from emprune.checks import kind_of
from emprune.errors import ArgumentError
from emprune.scoring.numerics import can_read

TOLERANCE = 0.01
"""How far the sum of a row may be from 1: targets may have been made in half precision."""

_LOGITS = (torch.float32, torch.bfloat16, torch.float16)

_ONE_COLUMN = (
    "For a single logit of yes or no use emprune.scoring.binary(logits, labels), for a predicted number "
    "emprune.scoring.regression."
)
_MORE_AXES = (
    "For tokens, [batch, length, vocabulary], use emprune.scoring.tokens; for maps, [batch, classes, height, width], "
    "emprune.scoring.dense."
)
_SEVERAL = "For several labels a sample use emprune.scoring.multilabel(logits, labels)"


def check_classification(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Raise ArgumentError unless these are a batch's class scores with one label, or one distribution, a sample.

    Args:
        logits: shape [B, C], floating point, C ≥ 2. A NaN among them passes: the pruner names its sample.
        labels: int64, shape [B], in [0, C); or floating point, shape [B, C], rows that are distributions.
    """
    check_all_but_classes(logits, labels)
    if not labels.is_floating_point():
        check_classes(labels, logits.shape[1])


def check_all_but_classes(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Likewise, but for the values of class indices, where torch notices one out of range itself."""
    if _are_plain(logits, labels):
        return
    check_logits(logits)
    _check_labels(logits, labels)
    if labels.is_floating_point() and can_read(labels):
        _check_distributions(labels)


def _are_plain(logits: torch.Tensor, labels: torch.Tensor) -> bool:
    """Whether these are class scores and indices, asked in a few microseconds; False may be said of what is right."""
    if not (type(logits) is type(labels) is torch.Tensor and labels.dtype is torch.int64 and logits.dtype in _LOGITS):
        return False
    shape = logits.shape
    return len(shape) == 2 and shape[1] > 1 and labels.shape == (shape[0],)


def check_class_indices(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Likewise, for functions that take no soft targets."""
    check_logits(logits)
    if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64 or labels.shape != logits.shape[:1]:
        raise ArgumentError("labels", kind_of(labels), f"class indices, int64 of shape [{len(logits)}]")
    check_classes(labels, logits.shape[1])


def nan_unless_distributions(loss: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss, NaN where a row of soft targets is no distribution and its values could not be looked at.

    Args:
        loss: shape [B].
        labels: floating point, shape [B, C].
    """
    return loss if can_read(labels) else loss.masked_fill(~_are_distributions(labels), torch.nan)


def check_weight(weight: torch.Tensor, classes: int) -> None:
    """Raise ArgumentError unless these are weights of classes: floating point, shape [C], finite and not negative."""
    if not isinstance(weight, torch.Tensor) or not weight.is_floating_point() or weight.shape != (classes,):
        raise ArgumentError("weight", kind_of(weight), f"one weight a class, floating point of shape [{classes}]")
    if can_read(weight) and len(bad := (~((weight >= 0) & (weight < torch.inf))).nonzero()):
        worst = int(bad[0])
        raise ArgumentError("weight", f"{float(weight[worst]):g} of class {worst}", "finite numbers of at least 0")


def check_smoothing(label_smoothing: float) -> None:
    """Raise ArgumentError unless it is a share of the target."""
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError("label_smoothing", label_smoothing, "a number in [0, 1]")


def check_logits(logits: torch.Tensor) -> None:
    """Raise ArgumentError unless these are class scores: floating point, shape [B, C], C ≥ 2."""
    is_tensor = isinstance(logits, torch.Tensor)
    if is_tensor and logits.ndim == 2 and logits.is_floating_point() and logits.shape[1] > 1:
        return
    hint = ""
    if not is_tensor:
        hint = "Of a model's output object pass its logits." if hasattr(logits, "logits") else ""
    elif logits.ndim == 1 or (logits.ndim == 2 and logits.shape[1] == 1):
        hint = _ONE_COLUMN
    elif logits.ndim > 2:
        hint = _MORE_AXES
    raise ArgumentError(
        "logits", kind_of(logits), "floating point of shape [batch, classes], two classes or more", hint
    )


def _check_labels(logits: torch.Tensor, labels: torch.Tensor) -> None:
    batch = logits.shape[:1]
    if isinstance(labels, torch.Tensor):
        expected = logits.shape if labels.is_floating_point() else batch
        if labels.shape == expected and (labels.is_floating_point() or labels.dtype == torch.int64):
            return
    allowed = f"class indices, int64 of shape {tuple(batch)}, or soft targets, floating point of shape "
    raise ArgumentError("labels", kind_of(labels), f"{allowed}{tuple(logits.shape)}", _hint_for(logits, labels))


def _hint_for(logits: torch.Tensor, labels: object) -> str:
    """What labels of another shape or dtype are likely meant to be."""
    if not isinstance(labels, torch.Tensor):
        return ""
    if labels.shape == logits.shape:
        return f"{_SEVERAL}; one-hot rows are soft targets as labels.float()."
    column = labels.shape == (len(logits), 1)
    if labels.is_floating_point() and (column or labels.shape == logits.shape[:1]):
        return "For numbers to predict use emprune.scoring.regression; class indices are int64, labels.long()."
    if column:
        return "Pass labels.squeeze(1)."
    return "Pass labels.long()." if labels.shape == logits.shape[:1] else ""


def check_classes(labels: torch.Tensor, classes: int) -> None:
    """Raise ArgumentError unless all class indices are in [0, classes), where looking waits for no device."""
    if not can_read(labels) or not labels.numel():
        return
    low, high = torch.aminmax(labels)
    if 0 <= int(low) <= int(high) < classes:
        return
    row = int(((labels < 0) | (labels >= classes)).nonzero()[0])
    label = int(labels[row])
    hint = "Give the model as many outputs as there are classes, and count labels from 0."
    if label < 0:
        hint = (
            "Every sample needs a label here: leave those without out of the data set. For labels of tokens, where "
            "-100 is passed over, use emprune.scoring.tokens."
        )
    raise ArgumentError("labels", f"{label} in row {row} of the batch", f"class indices from 0 to {classes - 1}", hint)


def _check_distributions(labels: torch.Tensor) -> None:
    if not labels.numel():
        return
    low, high = torch.aminmax(labels.sum(dim=1, dtype=torch.float32))  # few operations: this is in every step
    if float(low) >= 1 - TOLERANCE and float(high) <= 1 + TOLERANCE and float(labels.min()) >= -TOLERANCE:
        return
    row = int((~_are_distributions(labels)).nonzero()[0])
    values = labels[row].double()
    total, least = float(values.sum()), float(values.min())
    found = f"a row that sums to {total:.6g}" if math.isnan(total) or least >= -TOLERANCE else f"a row with {least:.6g}"
    raise ArgumentError(
        "labels", f"{found}, row {row} of the batch", "soft targets of at least 0, each row summing to 1",
        f"{_SEVERAL}, for numbers to predict emprune.scoring.regression.",
    )  # fmt: skip


def _are_distributions(labels: torch.Tensor) -> torch.Tensor:
    """bool, shape [B]; False for a row with NaN."""
    sums = labels.sum(dim=1, dtype=torch.float32)
    return ((sums - 1).abs() <= TOLERANCE) & (labels.amin(dim=1) >= -TOLERANCE)
