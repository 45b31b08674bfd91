"""OwnSpec: a run of a user's own function, which alone knows data, model and recipe."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from emprune_lab.specs.base import Budget, Experiment, run_id_of

OWN = "own"
"""Name under which a stored recipe keeps what is known of a user's own function; only those recipes have it."""


@dataclass(frozen=True)
class OwnSpec:
    """One run of a user's function; see :class:`emprune_lab.specs.base.Spec`.

    Attributes:
        data: the function's name, "module:function".
        policy, prune_rate, seed, anneal, budget: as of a run of the laboratory.
        num_samples: N of its training set.
        epochs: E of a full run.
    """

    data: str
    policy: str
    prune_rate: float
    seed: int
    num_samples: int
    epochs: int
    anneal: float = 0.0
    budget: Budget = "epoch"

    # Nothing is done to the user's data, and where it comes from and what is trained is not known.
    label_noise: ClassVar[float] = 0.0
    imbalance: ClassVar[float] = 1.0
    memory_terms: ClassVar[bool] = False
    model: ClassVar[str] = ""
    split: ClassVar[str] = ""

    @property
    def least_epoch(self) -> int:
        """A tenth of the samples: a rest of a few would be less than the user's batch, which drop_last leaves out."""
        return max(1, self.num_samples // 10)

    @property
    def recipe(self) -> dict[str, Any]:
        """What is known of how it trains, as a result stores it."""
        return {"epochs": self.epochs, OWN: {"num_samples": self.num_samples}}

    @property
    def run_id(self) -> str:
        """A readable name, unique to the spec: a folder under runs/."""
        return run_id_of(self, re.sub(r"[^A-Za-z0-9_.]+", ".", self.data), dataclasses.asdict(self))

    @property
    def experiment(self) -> Experiment:
        """What the runs of one folder share."""
        return Experiment(self.data, self.split, self.imbalance, self.recipe)


def is_own(recipe: Mapping[str, Any]) -> bool:
    """Whether a stored recipe is that of a user's own function."""
    return OWN in recipe
