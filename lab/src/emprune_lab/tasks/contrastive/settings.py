"""How images are learnt without labels: the settings of a contrastive run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from emprune.errors import ArgumentError
from emprune_lab.specs.recipe import TaskSettings

METHODS = {
    "simclr": "SimCLR (Chen et al. 2020, arXiv:2002.05709)",
    "moco": "MoCo v2 (Chen et al. 2020, arXiv:2003.04297)",
}
"""Every method by name."""
MEMORIES = {
    "alignment": "1 minus the similarity of the two views in the base encoder’s output",
    "hidden": "entropy of the similarities to other views in the base encoder’s output",
    "stages": "entropy of the similarities to other views, mean over the ends of the base encoder’s stages",
    "projector": "entropy of the similarities to other views in the projector’s output",
    "none": "no memory term",
}
"""Every memory term by name, in words."""


def looked_at_by(memory: str) -> Literal["hidden", "projector", "alignment"]:
    """The memory term by which the runs of a recipe are looked at, whatever they score by: the recipe's own.

    Where the recipe has none, or one of more layers than the encoder's output, it is "hidden".
    """
    return memory if memory in ("projector", "alignment") else "hidden"  # type: ignore[return-value]


@dataclass(frozen=True)
class Contrastive(TaskSettings):
    """Self-supervised training: two augmented views of an image are told from other images, without labels.

    Attributes:
        method: a key of :data:`METHODS`.
        temperature: τ of the loss, above 0.
        memory: memory term of policies that need one and name none, a key of :data:`MEMORIES`.
        memory_temperature: its τ, above 0.
        projection: width of the projector's output, at least 2.
        queue: keys that MoCo tells a query from, at least a batch.
        momentum: of the encoder of its keys, in [0, 1).

    Raises:
        ArgumentError: a value is not allowed.
    """

    nested: ClassVar[str] = "contrastive"
    memory_terms: ClassVar[bool] = True

    method: Literal["simclr", "moco"] = "simclr"
    temperature: float = 0.5
    memory: Literal["hidden", "stages", "projector", "alignment", "none"] = "alignment"
    memory_temperature: float = 0.1
    projection: int = 128
    queue: int = 4096
    momentum: float = 0.99

    def __post_init__(self) -> None:
        for name, value, allowed in (("method", self.method, METHODS), ("memory", self.memory, MEMORIES)):
            if value not in allowed:
                raise ArgumentError(name, value, f"one of {', '.join(allowed)}")
        for name in ("temperature", "memory_temperature"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ArgumentError(name, value, "a finite number above 0")
        for name, least in (("projection", 2), ("queue", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ArgumentError(name, value, f"an integer of at least {least}")
        if not 0 <= self.momentum < 1:
            raise ArgumentError("momentum", self.momentum, "a number in [0, 1)")
