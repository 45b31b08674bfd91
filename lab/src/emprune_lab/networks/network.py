"""A run's network on its device: under autocast where the recipe says so, compiled if asked, seeded step by step."""

from __future__ import annotations

from collections.abc import Iterator
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
        compiled: whether all but the head goes through torch.compile.

    Raises:
        ArgumentError: the data has a label beyond the model's outputs.
    """

    def __init__(
        self, model: nn.Sequential, data: LabelledData, precision: Precision, device: torch.device, *, compiled: bool
    ) -> None:
        self.device, self._half = device, precision == "bfloat16"
        self.model = model.to(device)
        self._body = torch.compile(self.model[:-1]) if compiled else self.model[:-1]
        outputs, classes = int(self.model[-1].out_features), int(data.labels.max()) + 1  # type: ignore[arg-type]
        if outputs < classes:
            raise ArgumentError("model", f"with {outputs} outputs", f"at least {classes}, the classes of {data.name}")

    def forward(self, inputs: torch.Tensor, seed: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [B, D] and logits [B, C], both float32.

        Args:
            seed: of what the model draws (dropout); the global generator is left as it was. None: it draws nothing.
        """
        with seeded(seed, self.device), torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            features = self._body(inputs)
            logits = self.model[-1](features)
        return features.float(), logits.float()


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
