"""Weights by sample id: which weight each sample of a batch has in the running epoch's plan."""

from __future__ import annotations

import numpy as np
import torch

from emprune.plan import EpochPlan


class Weights:
    """float32, shape [B], for int64 ids of shape [B], on their device; NaN for a sample outside the plan."""

    def __init__(self, plan: EpochPlan) -> None:
        self._tables = {torch.device("cpu"): self._table(plan)}

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        """Raises IndexError or RuntimeError where an id on the CPU is no dataset position; NaN on a device."""
        table = self._tables.get(ids.device)
        if table is None:
            # In an epoch's first step, which waits no more than the others.
            table = tuple(part.to(ids.device, non_blocking=True) for part in self._tables[torch.device("cpu")])
            self._tables[ids.device] = table
        return self._look_up(table, ids)

    def _table(self, plan: EpochPlan) -> tuple[torch.Tensor, ...]:
        return (torch.from_numpy(plan.weight_of),)

    def _look_up(self, table: tuple[torch.Tensor, ...], ids: torch.Tensor) -> torch.Tensor:
        (weights,) = table
        if ids.device.type == "cpu":
            return weights.index_select(0, ids)
        # An index out of range would fail on the device, and CUDA then refuses all that the process asks of it.
        place = ids.clamp(0, len(weights) - 1)
        return torch.where(place == ids, weights.index_select(0, place), torch.nan)


class SparseWeights(Weights):
    """The same in 12 bytes a sample of the plan, for a rank that has no row for each sample of the data set."""

    def _table(self, plan: EpochPlan) -> tuple[torch.Tensor, ...]:
        ids, first = np.unique(plan.ids, return_index=True)
        return torch.from_numpy(ids), torch.from_numpy(plan.weights[first])

    def _look_up(self, table: tuple[torch.Tensor, ...], ids: torch.Tensor) -> torch.Tensor:
        known, weights = table
        place = torch.searchsorted(known, ids).clamp_(max=len(known) - 1)
        return torch.where(known[place] == ids, weights[place], torch.nan)
