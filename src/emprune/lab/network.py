"""A run's network on its device: under autocast where the recipe says so, compiled if asked, seeded step by step."""

from __future__ import annotations

import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune.lab.data import LabelledData
from emprune.lab.recipe import Precision


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
        if seed is None:
            return self._forward(inputs)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            return self._forward(inputs)

    def _forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            features = self._body(inputs)
            logits = self.model[-1](features)
        return features.float(), logits.float()
