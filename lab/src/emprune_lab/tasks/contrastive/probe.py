"""A linear probe: what a linear classifier reads from frozen features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy

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
        weight: [C, D].
        bias: [C].
        mean, scale: [D]; the scale of a feature that never changes is 1.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [Q, C] of features [Q, D]."""
        return ((features.to(self.mean) - self.mean) / self.scale) @ self.weight.T + self.bias


def fit_probe(features: torch.Tensor, labels: torch.Tensor, num_classes: int, l2: float = L2) -> Probe:
    """Minimise mean cross entropy + l2/2 · |weight|² on standardised features, by LBFGS on all of them at once.

    That is scikit-learn's StandardScaler and LogisticRegression with C = 1/(l2·N), which gives the same accuracies but
    for a few samples in 10,000: published results rest on this one, which rounds to float32. No penalty on the bias.

    Args:
        features: float32 or float64, shape [N, D], without gradient.
        labels: int64, shape [N], in [0, num_classes).
        l2: relative to the mean over samples: as strong for a tenth of the labels as for all of them.
    """
    mean, scale = _standard(features)
    weight, bias = _minimise((features - mean) / scale, labels, num_classes, l2)
    return Probe(weight, bias, mean, scale)


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

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
