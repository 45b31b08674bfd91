"""States to save and to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import inputs_of

from emprune import IdBatches, Pruner, get_policy

N, EPOCHS = 60, 5


def new_pruner(policy: str, size: int = N, prune_rate: float = 0.7) -> Pruner:
    settings = {"scores": np.arange(float(size))} if policy == "static-scores" else {}
    return Pruner(size, get_policy(policy, **settings), prune_rate=prune_rate, num_epochs=EPOCHS, seed=3)


def train(pruner: Pruner, ids: torch.Tensor) -> None:
    """One step with losses that move."""
    pruner.loss(ids, **inputs_of(pruner, ids, pruner.epoch))


def trained(policy: str, steps: int = 5, size: int = N) -> Pruner:
    """A pruner in the middle of its second epoch or later."""
    pruner = new_pruner(policy, size)
    while True:
        for ids in IdBatches(pruner, 7):
            if steps < 1 and pruner.epoch:
                return pruner
            train(pruner, ids)
            steps -= 1
        pruner.end_epoch()


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether the states agree in names, types and every bit; plain ``==`` would call NaN unlike itself."""

    def shown(state: dict[str, Any]) -> dict[str, Any]:
        return {
            name: (value.dtype, value.shape, value.numpy().tobytes())
            if isinstance(value, torch.Tensor)
            else repr(value)
            for name, value in state.items()
        }

    return shown(first) == shown(second)


def simple(value: float = 1.0) -> dict[str, Any]:
    return {"schema_version": 1, "counters": {"epoch": 2, "seconds": 0.1}, "table.loss": torch.full((50,), value)}


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())
