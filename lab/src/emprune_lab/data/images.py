"""Image classification sets: what they are in memory, and the place where each file of this folder adds its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from emprune_lab.data.labelled import LabelledData
from emprune_lab.data.sets import DataSets


@dataclass(frozen=True)
class ImageData(LabelledData):
    """An image classification set in memory; inputs are uint8, shape [N, C, H, W]."""

    inputs: torch.Tensor
    test_inputs: torch.Tensor

    @property
    def images(self) -> torch.Tensor:
        """The training set's, uint8, shape [N, C, H, W]."""
        return self.inputs

    @property
    def test_images(self) -> torch.Tensor:
        """Likewise of the set held out."""
        return self.test_inputs


IMAGES: DataSets[ImageData] = DataSets()
"""Every image data set by name; a new one is a file with a function under ``@IMAGES.add(name, preset=...)``."""
