"""A linear probe: what a linear classifier reads from frozen features, from all labels or from a part of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from emprune.errors import ArgumentError
from emprune.seeding import generator
from emprune_lab.contrastive.neighbours import check_features, check_labels

L2 = 1e-3
"""Default weight of the penalty."""

_ITERATIONS = 500
_TOLERANCES = {torch.float32: (1e-6, 0.0), torch.float64: (1e-9, 1e-15)}
"""Fitted once the largest entry of the gradient, or the change of the objective, is below this.

In float32 the objective stands still by rounding long before the weight does, hence no bound on its change.
"""


class Probe(NamedTuple):
    """A multinomial logistic regression on standardised features: softmax(weight · (x - mean)/scale + bias).

    Attributes:
        weight: [C, D]. bias: [C]. mean, scale: [D]; the scale of a feature that never changes is 1.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [Q, C] of features [Q, D]."""
        return ((features.to(self.mean) - self.mean) / self.scale) @ self.weight.T + self.bias


def linear_probe(
    features: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor, num_classes: int, l2: float = L2
) -> torch.Tensor:
    """Classes of the queries by a linear classifier of the features, fitted as :func:`fit_probe` says.

    Args:
        queries: floating point, shape [Q, D].

    Returns:
        int64, shape [Q], on the features' device.

    Raises:
        ArgumentError: as :func:`fit_probe`; the queries have another width, or are NaN or infinite.
    """
    check_features("features", features)
    check_features("queries", queries)
    if queries.shape[1:] != features.shape[1:]:
        raise ArgumentError("queries", list(queries.shape), "[Q, D], as wide as the features")
    return fit_probe(features, labels, num_classes, l2).logits(queries).argmax(1)


def fit_probe(features: torch.Tensor, labels: torch.Tensor, num_classes: int, l2: float = L2) -> Probe:
    """Minimise mean cross entropy + l2/2 · |weight|² on standardised features, by LBFGS on all of them at once.

    That is scikit-learn's StandardScaler and LogisticRegression with C = 1/(l2·N): strictly convex in the weight, so
    that nothing depends on where it starts; no penalty on the bias. Standard deviations are those of the population.

    Args:
        features: floating point, shape [N, D], N at least 1; computed in float64 if they are, else in float32.
        labels: int64, shape [N], in [0, num_classes).
        l2: above 0, relative to the mean over samples: as strong for a tenth of the labels as for all of them.

    Raises:
        ArgumentError: an argument is outside what it may be, a feature is NaN or infinite.
    """
    check_features("features", features)
    check_labels(labels, len(features), num_classes)
    if len(features) == 0:
        raise ArgumentError("features", list(features.shape), "at least one")
    if not 0 < l2 < float("inf"):
        raise ArgumentError("l2", l2, "a finite number above 0")
    values = features.detach() if features.dtype == torch.float64 else features.detach().float()
    mean, scale = _standard(values)
    weight, bias = _minimise((values - mean) / scale, labels, num_classes, l2)
    return Probe(weight, bias, mean, scale)


def label_part(labels: torch.Tensor, fraction: float, seed: int) -> torch.Tensor:
    """Ids of a random part of each class: the fraction of its samples, rounded, but at least one.

    So classes keep their shares, which are equal where the set's are.

    Args:
        labels: int64, shape [N]. fraction: in (0, 1].
        seed: of which samples; a larger fraction contains a smaller one's.

    Returns:
        int64 ids, ascending, on the labels' device.

    Raises:
        ArgumentError: the fraction is outside its range.

    >>> label_part(torch.tensor([0, 0, 0, 0, 1]), 0.5, seed=0).tolist()
    [0, 1, 4]
    """
    if not 0 < fraction <= 1:
        raise ArgumentError("fraction", fraction, "a number in (0, 1]")
    classes = labels.cpu().numpy()
    picked = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        count = max(1, int(fraction * len(members) + 0.5))
        picked.append(generator(seed, 0, f"labels of class {label}").permutation(members)[:count])
    ids = np.sort(np.concatenate(picked)) if picked else np.empty(0, np.int64)
    return torch.from_numpy(ids).to(labels.device)


def _standard(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = values.mean(0)
    # By its extremes and not by its deviation, which rounding leaves above zero.
    constant = values.amax(0) == values.amin(0)
    mean = torch.where(constant, values[0], mean)
    scale = (values - mean).square().mean(0).sqrt()
    return mean, torch.where(scale == 0, 1.0, scale)


def _minimise(
    inputs: torch.Tensor, labels: torch.Tensor, num_classes: int, l2: float
) -> tuple[torch.Tensor, torch.Tensor]:
    weight = inputs.new_zeros(num_classes, inputs.shape[1], requires_grad=True)
    bias = inputs.new_zeros(num_classes, requires_grad=True)
    of_gradient, of_change = _TOLERANCES[inputs.dtype]
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, tolerance_grad=of_gradient, tolerance_change=of_change,
        history_size=20, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(inputs @ weight.T + bias, labels) + 0.5 * l2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(objective)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
