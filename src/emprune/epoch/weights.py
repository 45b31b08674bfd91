"""Weights by sample id: which weight each sample of a batch has in the running epoch's plan."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray


def weighted_mean(loss: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Σ_i w_i·loss_i / B, a scalar; 0 with a gradient of 0 where B is 0.

    Args:
        loss: floating point, shape [B], with gradient.
        weights: float32, shape [B], on the loss's device; None: ones.
    """
    if loss.is_cpu and loss.dtype is torch.float32:  # one product costs a step less there than a mean
        return loss.dot(_even_weights(len(loss)) if weights is None else weights.to(loss.dtype) / len(loss))
    if weights is not None:
        loss = loss * weights.to(loss.dtype)
    return loss.mean() if len(loss) else loss.sum()


@lru_cache(maxsize=8)
def _even_weights(size: int) -> torch.Tensor:
    """float32, shape [size]: those of a mean. From NumPy, so that no mode or default device of torch's has a part."""
    with torch.inference_mode(False):
        return torch.from_numpy(np.full(size, 1 / max(1, size), dtype=np.float32))


class Weights:
    """float32, shape [B], for int64 ids of shape [B], on their device; NaN for a sample outside the plan.

    Args:
        by_id: float32, shape [N], NaN outside the plan.
    """

    def __init__(self, by_id: NDArray[np.float32]) -> None:
        self._keep(by_id)

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        """Raises IndexError or RuntimeError where an id on the CPU is no dataset position; NaN on a device."""
        columns = self._columns.get(ids.device)
        if columns is None:
            # In an epoch's first step, which waits no more than the others.
            columns = tuple(part.to(ids.device, non_blocking=True) for part in self._columns[torch.device("cpu")])
            self._columns[ids.device] = columns
        return self._look_up(columns, ids)

    def _keep(self, *columns: NDArray[np.generic]) -> None:
        self._columns = {torch.device("cpu"): tuple(torch.from_numpy(column) for column in columns)}

    def _look_up(self, columns: tuple[torch.Tensor, ...], ids: torch.Tensor) -> torch.Tensor:
        (weights,) = columns
        if ids.device.type == "cpu":
            return weights.index_select(0, ids)
        # An index out of range would fail on the device, and CUDA then refuses all that the process asks of it.
        place = ids.clamp(0, len(weights) - 1)
        return torch.where(place == ids, weights.index_select(0, place), torch.nan)


class SparseWeights(Weights):
    """The same in 12 bytes a sample of the plan, for a rank that has no row for each sample of the data set.

    Args:
        ids: int64, shape [M], in any order, perhaps repeated.
        weights: float32, shape [M].
    """

    def __init__(self, ids: NDArray[np.int64], weights: NDArray[np.float32]) -> None:
        known, first = np.unique(ids, return_index=True)
        self._keep(known, weights[first])

    def _look_up(self, columns: tuple[torch.Tensor, ...], ids: torch.Tensor) -> torch.Tensor:
        known, weights = columns
        place = torch.searchsorted(known, ids).clamp_(max=len(known) - 1)
        return torch.where(known[place] == ids, weights[place], torch.nan)
