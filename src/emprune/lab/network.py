"""A run's network on its device: built from the seed, under autocast where the recipe says so, compiled if asked."""

from __future__ import annotations

import torch

from emprune.errors import ArgumentError
from emprune.lab import models
from emprune.lab.data import ImageData
from emprune.lab.evaluate import Evaluation, evaluate
from emprune.lab.recipe import Recipe
from emprune.lab.resident import ResidentImages


class Network:
    """The model and how images go through it.

    Args:
        shape: of the images, [N, C, H, W].
        data: its classes are the outputs.
        seed: of the weights. compiled: whether all but the head goes through torch.compile.

    Raises:
        ArgumentError: the data has a label beyond the model's outputs.
    """

    def __init__(
        self, recipe: Recipe, shape: torch.Size, data: ImageData, seed: int, device: torch.device, *, compiled: bool
    ) -> None:
        _, channels, size, _ = shape
        self.device, self._half = device, recipe.precision == "bfloat16"
        self.model = models.build(recipe.model, channels, size, data.num_classes, seed).to(device)
        self._body = torch.compile(self.model[:-1]) if compiled else self.model[:-1]
        outputs, classes = int(self.model[-1].out_features), int(data.labels.max()) + 1  # type: ignore[arg-type]
        if outputs < classes:
            raise ArgumentError("model", f"with {outputs} outputs", f"at least {classes}, the classes of {data.name}")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [B, D] and logits [B, C], both float32."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            features = self._body(images)
            logits = self.model[-1](features)
        return features.float(), logits.float()

    def evaluate(self, images: ResidentImages, labels: torch.Tensor) -> Evaluation:
        """Every sample in evaluation mode; see :func:`emprune.lab.evaluate.evaluate`."""
        return evaluate(self.model, images, labels, forward=lambda batch: self.forward(batch)[1])
