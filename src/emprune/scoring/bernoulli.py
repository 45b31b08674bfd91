"""Yes-or-no targets: Bernoulli loss and entropy of each logit, for one label a sample or for several."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from emprune.checks import kind_of
from emprune.errors import ArgumentError
from emprune.scoring.classification import PerSample
from emprune.scoring.numerics import can_read, working_dtype
from emprune.scoring.rows import beside, check_kind, raise_at

CLASSES_HINT = "For one class out of several use emprune.scoring.classification(logits, labels)."


def binary(logits: torch.Tensor, targets: torch.Tensor, *, pos_weight: float | torch.Tensor | None = None) -> PerSample:
    """Bernoulli loss L and entropy H of samples with one yes-or-no label and one logit each.

        L_i = -w·t_i·log q_i - (1 - t_i)·log(1 - q_i),    H_i = -q_i·log q_i - (1 - q_i)·log(1 - q_i),
        q_i = sigmoid(logit_i)

    It is :func:`emprune.scoring.classification` of the two logits (0, logit), so H is EMP's memory term (Xiao et al.,
    arXiv:2408.16031, as summarised publicly), and depends neither on the target nor on w.

    Args:
        logits: floating point, shape [B] or [B, 1]; float64 is computed in float64, all others in float32.
        targets: of the logits' shape, or [B] for [B, 1]: 0 or 1 in any dtype, or floating point between (mixup, soft
            labels).
        pos_weight: w > 0, factor of the loss of positives: a number, or a tensor of one element, as for
            torch.nn.functional.binary_cross_entropy_with_logits.

    Returns:
        PerSample(loss, memory) of shape [B] on the logits' device, in nats; loss ≥ 0, 0 ≤ memory ≤ log 2.

    Raises:
        ArgumentError: shapes or dtypes do not fit, or a target lies outside [0, 1] (the message names the row). Values
            on an accelerator are not looked at, since that would wait for it: there such a sample's loss is NaN, and a
            pruner names it when the epoch ends.

    >>> loss, memory = binary(torch.zeros(1), torch.tensor([1]))
    >>> round(loss.item(), 4), round(memory.item(), 4)
    (0.6931, 0.6931)
    """
    if logits.ndim not in (1, 2) or not logits.is_floating_point() or logits.shape[1:] not in ((), (1,)):
        several = logits.ndim == 2 and logits.shape[1] > 1
        hint = (
            f"{CLASSES_HINT} For several yes-or-no labels a sample use emprune.scoring.multilabel." if several else ""
        )
        raise ArgumentError(
            "logits", kind_of(logits), "one logit a sample, floating point of shape [B] or [B, 1]", hint
        )
    size = len(logits)
    if targets.shape not in ((size,), logits.shape):
        hint = CLASSES_HINT if targets.ndim == 2 and len(targets) == size else ""
        if targets.shape == (size, 1):
            hint = "Pass targets.squeeze(1)."
        raise ArgumentError("targets", kind_of(targets), f"one target for each of {size} logits, shape [{size}]", hint)
    weight = _pos_weight(pos_weight, (), logits)
    loss, entropy = bernoulli(logits.reshape(size), targets.reshape(size), weight)
    return PerSample(loss, entropy)


def multilabel(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    reduction: str = "mean",
    pos_weight: torch.Tensor | float | None = None,
    weight: torch.Tensor | None = None,
    unknown: torch.Tensor | None = None,
) -> PerSample:
    """Bernoulli loss and entropy of samples with several yes-or-no labels, over the labels that are known.

        L_i = mean_{c ∈ K_i} v_c·l_ic,    H_i = mean_{c ∈ K_i} v_c·h_ic

    with l_ic and h_ic the loss and entropy of one label as in :func:`binary`, K_i the labels known of sample i, and v
    the labels' weights. The entropy of independent labels is the sum of theirs, so with "sum" H_i is the entropy of the
    prediction; the mean over labels is this project's reading of EMP (Xiao et al., arXiv:2408.16031), which keeps the
    size of a loss what torch.nn.functional.binary_cross_entropy_with_logits makes it. The paper has no multi-label
    task.

    A sample without a known label has loss 0 with gradient 0, and memory 0: nothing can be learnt from it.

    Args:
        logits: floating point, shape [B, C]; float64 is computed in float64, all others in float32.
        targets: shape [B, C]: 0 or 1 in any dtype, or floating point between.
        reduction: "mean" or "sum" over a sample's known labels.
        pos_weight: factors > 0 of the loss of positives, a number or shape [C]; the entropy does not depend on them.
        weight: factors v ≥ 0 of the labels, floating point, shape [C], of loss and entropy: a label that counts little
            for the one counts little for the other. As in torch a mean divides by the number of labels, not by their
            weights.
        unknown: bool, shape [B, C]: True where the label is not known; targets and logits there are not looked at and
            get no gradient. With labels of -1 for unknown pass ``unknown=targets < 0``. Note that a batch's loss is
            then the mean over samples of means over labels, in which a sample counts the same however few of its labels
            are known.

    Returns:
        PerSample(loss, memory) of shape [B] on the logits' device, in nats; loss ≥ 0; without weights
        0 ≤ memory ≤ log 2, C times that for "sum".

    Raises:
        ArgumentError: shapes or dtypes do not fit, or a known target lies outside [0, 1] (the message names row and
            label). On an accelerator such a sample's loss is NaN instead, see :func:`binary`.

    >>> loss, memory = multilabel(torch.zeros(1, 3), torch.tensor([[1, 0, 1]]), reduction="sum")
    >>> round(loss.item(), 4), round(memory.item(), 4)
    (2.0794, 2.0794)
    """
    if logits.ndim != 2 or not logits.is_floating_point() or logits.shape[1] < 1:
        hint = "For one label a sample use emprune.scoring.binary(logits, targets)." if logits.ndim == 1 else ""
        if logits.ndim > 2:
            hint = "For a map of labels, logits.flatten(1) and targets.flatten(1) make each place a label."
        raise ArgumentError("logits", kind_of(logits), "floating point of shape [batch, labels]", hint)
    if targets.shape != logits.shape:
        hint = CLASSES_HINT if targets.ndim == 1 else ""
        if targets.shape == (len(logits),) and logits.shape[1] == 1:
            hint = "For one label a sample use emprune.scoring.binary(logits, targets)."
        raise ArgumentError("targets", kind_of(targets), f"one target a label, shape {tuple(logits.shape)}", hint)
    if reduction not in ("mean", "sum"):
        raise ArgumentError("reduction", reduction, "'mean' or 'sum', over the labels of each sample")
    if unknown is not None:
        check_kind("unknown", unknown, (torch.bool,), tuple(logits.shape), "bool, True where a label is not known")
        if unknown.device.type != "cpu":
            targets = beside(targets, unknown)
        targets = targets.masked_fill(beside(unknown, targets), 0)
        unknown = beside(unknown, logits)
        logits = logits.masked_fill(unknown, 0)
    classes = logits.shape[1]
    loss, entropy = bernoulli(logits, targets, _pos_weight(pos_weight, (classes,), logits))
    if weight is not None:
        check_kind("weight", weight, None, (classes,), "floating point, one factor a label")
        weight = beside(weight, loss, loss.dtype)
        loss, entropy = loss * weight, entropy * weight
    number: torch.Tensor | int = classes
    if unknown is not None:
        loss, entropy = loss.masked_fill(unknown, 0), entropy.masked_fill(unknown, 0)
        number = (~unknown).sum(dim=1).clamp_min(1)
    loss, entropy = loss.sum(dim=1), entropy.sum(dim=1)
    return PerSample(loss, entropy) if reduction == "sum" else PerSample(loss / number, entropy / number)


def bernoulli(
    logits: torch.Tensor, targets: torch.Tensor, pos_weight: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and entropy of each logit, of the logits' shape; the entropy without gradient.

    Args:
        logits: floating point, shape [B, ...].
        targets: same shape.
        pos_weight: of a shape that broadcasts to the logits', in working precision.
    """
    outside = ~((targets >= 0) & (targets <= 1))  # NaN too
    if can_read(targets) and bool(outside.any()):
        hint = "Targets of -1 and 1 are (targets + 1) / 2; of -1 for unknown, pass unknown=targets < 0 to multilabel."
        raise_at("targets", targets, outside, "0 to 1", f"{hint} {CLASSES_HINT}")
    z = logits.to(working_dtype(logits.dtype))
    t = beside(targets, z, z.dtype)
    loss = F.binary_cross_entropy_with_logits(z, t, reduction="none", pos_weight=pos_weight)
    if not can_read(targets):
        loss = loss.masked_fill(outside, torch.nan)
    z = z.detach()
    # Both probabilities from the logit, since 1 - q has no digits left where q is all but 1.
    return loss, torch.special.entr(torch.sigmoid(z)) + torch.special.entr(torch.sigmoid(-z))


def _pos_weight(
    weight: torch.Tensor | float | None, shape: tuple[int, ...], logits: torch.Tensor
) -> torch.Tensor | None:
    """In working precision, beside the logits."""
    if weight is None:
        return None
    if not isinstance(weight, torch.Tensor):
        if not 0 < weight < float("inf"):
            raise ArgumentError("pos_weight", weight, "a finite number above 0")
        weight = torch.tensor(float(weight))
    elif weight.numel() != 1:
        check_kind("pos_weight", weight, None, shape, "one factor a label" if shape else "one factor")
    return beside(weight.reshape(shape if weight.numel() > 1 else ()), logits, working_dtype(logits.dtype))
