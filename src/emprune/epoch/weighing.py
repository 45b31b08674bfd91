"""What a run weighs its samples by, its class quotas and its order, held against policy, schedule and data set.

The law. Weights w_i ≥ 0 enter rule "sample" as factors: of what is left, sample i is drawn next with a probability in
proportion to w_i·score_i^γ, until k are drawn; the uniform rule is that with equal scores, which is the law of torch's
``WeightedRandomSampler(w, k, replacement=False)``. So the probability that an epoch trains i is near to
1 - exp(-λ·w_i·score_i^γ), with the λ for which these add up to k (:mod:`emprune.selection.inclusion`): in proportion
to w_i·score_i^γ where that is small, and never above 1. Rule "top" takes the k highest w_i·score_i. Of samples that
rank equally, such as those never seen, those that an epoch has room for are drawn by w_i alone. Nothing of weight 0 is
ever taken. Losses are not weighed by any of this: a run trains on another distribution, as with torch's sampler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from emprune.errors import ArgumentError
from emprune.policies.base import InBatchPolicy, Policy
from emprune.policies.registry import REGISTRY
from emprune.selection.blocks import Blocks
from emprune.selection.quotas import Quotas

SampleWeight = ArrayLike | torch.Tensor

_TINY = float(np.finfo(np.float32).tiny)


def relative_weights(sample_weight: SampleWeight, num_samples: int) -> NDArray[np.float32]:
    """float32, shape [N], in [0, 1]: the weights over the largest, none of them rounded to 0.

    Args:
        sample_weight: real numbers, shape [N], finite and at least 0, one of them above 0.

    Raises:
        ArgumentError: they are not.

    >>> relative_weights([1, 2, 0], 3).tolist()
    [0.5, 1.0, 0.0]
    """
    given: Any = sample_weight
    found = np.asarray(given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else given)
    if found.shape != (num_samples,) or found.dtype.kind not in "fiub":
        raise ArgumentError(
            "sample_weight", f"{found.dtype} of shape {found.shape}", f"one number a sample, shape [{num_samples}]",
            "By class: (1 / counts)[labels], or leave it out and give quotas=emprune.Quotas(labels).",
        )  # fmt: skip
    values = found.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() == 0:
        bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
        worst = f"{values[bad[0]]:g} for sample {bad[0]}" if len(bad) else "0 for every sample"
        raise ArgumentError("sample_weight", worst, "finite numbers of at least 0, one of them above 0")
    values /= values.max()
    return np.where(values > 0, np.maximum(values, _TINY), 0).astype(np.float32)


def check_quotas(quotas: Any, num_samples: int) -> None:
    """Raise ArgumentError unless these are quotas of so many samples."""
    if not isinstance(quotas, Quotas):
        raise ArgumentError(
            "quotas", type(quotas).__name__, "None or an emprune.Quotas", "Of labels: quotas=emprune.Quotas(labels)."
        )
    if len(quotas) != num_samples:
        raise ArgumentError("quotas", f"of {len(quotas)} labels", f"a label for each of {num_samples} samples")


def check_order(order: Any, num_samples: int) -> None:
    """Raise ArgumentError unless this is an order of so many samples."""
    if not isinstance(order, Blocks):
        hint = "Give the samples of each shard: order=emprune.Blocks(samples_per_shard)."
        raise ArgumentError("order", order, "None, a plain shuffle, or an emprune.Blocks", hint)
    order.check(num_samples)


def check_honoured(policy: Policy, name: str) -> None:
    """Raise ArgumentError unless a policy does justice to the option "sample_weight" or "quotas"."""
    if name in policy.honoured():
        return
    others = ", ".join(key for key, kind in REGISTRY.items() if name in kind.honours)
    hint = f"{_reason(policy, name)}. Policies that take {name}: {others}."
    raise ArgumentError(name, "given", f"None with policy {policy.name!r}", hint)


def _reason(policy: Policy, name: str) -> str:
    weigh_loss = "; weigh the loss before pruner.loss instead" if name == "sample_weight" else ""
    if policy.name == "full":
        return f"It trains every sample in every epoch{weigh_loss}"
    if policy.name in ("infobatch", "infobatch-published", "repb", "emp"):
        return f"Its loss weights make up for its choice, and would undo yours{weigh_loss}"
    if isinstance(policy, InBatchPolicy):
        return f"It forwards all samples and chooses within a batch{weigh_loss}"
    if policy.name == "rs2":
        return "It trains every sample equally often"
    if policy.name in REGISTRY:
        return "It chooses by a rule of its own"
    return (
        "If its select chooses by the rules of the request alone (uniform, sample, top of request.weighted(scores)), "
        f"let its class say so: honours = ({name!r},)"
    )


def check_enough(kept: Sequence[int], weights: NDArray[np.float32] | None, quotas: Quotas | None) -> None:
    """Raise ArgumentError unless there is as much to choose from as each epoch keeps.

    Args:
        kept: samples of each epoch.
        weights: float32, shape [N], of all samples.
    """
    usable = None if weights is None else weights > 0
    for epoch, k in enumerate(kept):
        if usable is not None and k > np.count_nonzero(usable):
            raise ArgumentError(
                "sample_weight", f"above 0 for {np.count_nonzero(usable)} samples", f"above 0 for at least {k}, which "
                f"epoch {epoch} keeps", "Raise the prune rate, leave out full epochs, or take samples of weight 0 out "
                "of the data set.",
            )  # fmt: skip
        if quotas is not None and k < len(quotas):
            quotas.expected(k, quotas.available(usable))
