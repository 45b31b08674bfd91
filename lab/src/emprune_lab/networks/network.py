"""A run's network on its device: under autocast where the recipe says so, compiled if asked, seeded step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune.seeding import derive_seed
from emprune_lab.data import LabelledData
from emprune_lab.specs.recipe import Precision


class Network:
    """A model whose last module is a linear head, and how inputs go through it.

    Args:
        model: of the run's seed.
        data: its classes are the outputs.
        precision: "bfloat16" runs the model under autocast.
        compiled: whether all but the head goes through torch.compile, in training and for the largest batches so far;
            smaller ones, and evaluation, would be compiled anew for a few steps.

    Raises:
        ArgumentError: the data has a label beyond the model's outputs.
    """

    def __init__(
        self, model: nn.Sequential, data: LabelledData, precision: Precision, device: torch.device, *, compiled: bool
    ) -> None:
        self.device, self._half = device, precision == "bfloat16"
        self.model = model.to(device)
        self._body: Callable[[torch.Tensor], torch.Tensor] = self.model[:-1]
        self._compiled = torch.compile(self.model[:-1], dynamic=False) if compiled else None
        self._compiled_size = 0
        outputs, classes = int(self.model[-1].out_features), int(data.labels.max()) + 1  # type: ignore[arg-type]
        if outputs < classes:
            raise ArgumentError("model", f"with {outputs} outputs", f"at least {classes}, the classes of {data.name}")

    def forward(self, inputs: torch.Tensor, seed: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [B, D] and logits [B, C], both float32.

        Args:
            seed: of what the model draws (dropout); the global generator is left as it was. None: it draws nothing.
        """
        with seeded(seed, self.device), torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            features = self._body_for(len(inputs))(inputs)
            logits = self.model[-1](features)
        return features.float(), logits.float()

    def _body_for(self, size: int) -> Callable[[torch.Tensor], torch.Tensor]:
        if self._compiled is None or not (self.model.training and torch.is_grad_enabled()):
            return self._body
        self._compiled_size = max(self._compiled_size, size)
        return self._compiled if size == self._compiled_size else self._body


def step_seed(seed: int, epoch: int, position: int) -> int:
    """Of what a run's model draws in a step that begins at a position of the epoch."""
    return derive_seed(seed, epoch, f"dropout at {position}", bits=56)


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Inside, torch draws from the seed; the global generators are left as they were. None: nothing is drawn."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
