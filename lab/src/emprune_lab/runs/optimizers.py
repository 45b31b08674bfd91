"""Optimisers of the lab: SGD, AdamW, and LARS as the peers' ResNet-50 recipe uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune_lab.specs.recipe import Recipe

OPTIMIZERS = ("sgd", "lars", "adamw")
"""Every optimiser by name."""

_ADAM_BETA2 = 0.999


class LARS(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling (You, Gitman & Ginsburg 2017, arXiv:1708.03888).

    For each parameter tensor w with gradient g, learning rate γ, momentum m and weight decay β::

        q = η·‖w‖ / (‖g‖ + β·‖w‖), or 1 where a norm is 0       (eq. 6)
        v ← m·v + (g + β·w)
        w ← w − γ·q·v

    Departures from the paper's algorithm 1, as in InfoBatch's released recipe: γ and q are applied to the momentum
    instead of being stored in it, so that a tensor that starts at 0 is not carried on by its first, unscaled
    step; every tensor is scaled and decayed, batch norms and biases too. The bounds that InfoBatch's code puts on
    g + β·w (±10) and q (50) are left out: with its β = 5e-4, q is at most 2.

    Tensors are updated together and without waiting for the device.

    Args:
        params: tensors, or groups of them.
        lr: γ, at least 0.
        momentum: m, in [0, 1).
        weight_decay: β, at least 0.
        trust_coefficient: η, above 0.

    Raises:
        ArgumentError: a value is outside its range.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:
        _check_ranges(lr, momentum, weight_decay)
        if not trust_coefficient > 0:
            raise ArgumentError("trust_coefficient", trust_coefficient, "a number above 0")
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust_coefficient": trust_coefficient,
        }  # fmt: skip
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; gradients stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if params:
                self._update(params, group)
        return loss

    def _update(self, params: list[torch.Tensor], group: dict[str, Any]) -> None:
        decay, grads = group["weight_decay"], [param.grad for param in params if param.grad is not None]
        weights, slopes = torch.stack(torch._foreach_norm(params)), torch.stack(torch._foreach_norm(grads))
        ratios = group["trust_coefficient"] * weights / (slopes + decay * weights)
        ratios = torch.where((weights > 0) & (slopes > 0), ratios, 1.0)
        for param in params:
            if "momentum_buffer" not in self.state[param]:
                self.state[param]["momentum_buffer"] = torch.zeros_like(param)
        buffers = [self.state[param]["momentum_buffer"] for param in params]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, list(torch._foreach_add(grads, params, alpha=decay)))
        torch._foreach_add_(params, list(torch._foreach_mul(buffers, ratios.unbind())), alpha=-group["lr"])


def build_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser that a recipe names, at its peak learning rate.

    Args:
        recipe: its ``optimizer`` is one of :data:`OPTIMIZERS`; ``max_lr`` and ``weight_decay`` are at least 0,
            ``momentum`` is in [0, 1), AdamW's β₁. ``nesterov`` is of SGD alone.
        parameters: all are decayed, batch norms and biases included; AdamW, as transformers are usually trained,
            decays matrices (embeddings among them) and leaves vectors alone.

    Raises:
        ArgumentError: unknown name, or a value outside its range.
    """
    if recipe.optimizer not in OPTIMIZERS:
        raise ArgumentError("optimizer", recipe.optimizer, f"one of {', '.join(OPTIMIZERS)}")
    _check_ranges(recipe.max_lr, recipe.momentum, recipe.weight_decay)
    if recipe.optimizer == "lars":
        return LARS(parameters, recipe.max_lr, recipe.momentum, recipe.weight_decay)
    if recipe.optimizer == "adamw":
        return _adamw(list(parameters), recipe)
    if recipe.nesterov and recipe.momentum == 0:
        raise ArgumentError("nesterov", recipe.nesterov, "False where momentum is 0")
    weights = list(parameters)
    return torch.optim.SGD(
        weights, lr=recipe.max_lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov, fused=weights[0].is_cuda,
    )  # fmt: skip


def _adamw(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.AdamW:
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    # Fused: on a processor, ten times as fast.
    return torch.optim.AdamW(filled, lr=recipe.max_lr, betas=(recipe.momentum, _ADAM_BETA2), fused=True)


def _check_ranges(lr: float, momentum: float, weight_decay: float) -> None:
    for name, value in (("learning rate", lr), ("weight_decay", weight_decay)):
        if not 0 <= value < float("inf"):
            raise ArgumentError(name, value, "a number of at least 0")
    if not 0 <= momentum < 1:
        raise ArgumentError("momentum", momentum, "a number in [0, 1)")
