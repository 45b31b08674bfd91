"""Even counts: each sample is trained as often as its chances add up to, but for about one time.

With independent draws, of samples that have a chance of 0.1 an epoch 4 % have no turn in 30 epochs, and 7 % six or
more. Here each sample has a credit, to which every epoch adds its chance π and from which every turn takes 1; those
with the highest credit have their turn. Where all chances are equal, every sample is trained once before any is trained
twice, as in RS2 (Okanovic et al. 2024, arXiv:2305.18424). Since credits begin at random in [0, 1), π is the probability
of a turn (systematic sampling, Madow 1949), but for the few by which the samples whose credit reaches 1 differ from k.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emprune.policies.base import Request
from emprune.selection import Selection
from emprune.selection.inclusion import inclusion, log_rate
from emprune.selection.quotas import Quotas
from emprune.selection.topk import random_part

_MOST = 1e4
"""Exponents and factors count no higher: float32 holds what they are multiplied by."""

CREDIT = "credit"
"""Name of the score table's column: what chances have added up to, less the turns that the sample has had."""


def chances(request: Request, scores: NDArray[np.float32], gamma: float, k: int) -> NDArray[np.float32]:
    """The chance of each sample if k are drawn in proportion to score^γ, times its weight; all ranks must call it.

    Args:
        scores: float32, shape [rows]; those that are not positive have no chance.
        gamma: γ > 0.

    Returns:
        float32, shape [rows], in [0, 1]; k in sum over all ranks.
    """
    owned, logs, gamma = request.table.owned, request.table.log_weights(), min(gamma, _MOST)
    rate = np.float32(log_rate(scores, k, request.rng("inclusion"), gamma=gamma, owned=owned, log_weights=logs))
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.float32(gamma) * np.log(scores) + rate
        chance = inclusion(powers if logs is None else powers + logs)
    chance[~(scores > 0)] = 0  # also where it is NaN, 0 times the infinite rate at which all are taken
    [total] = owned.sums(chance.sum(dtype=np.float64))
    # Rounded, so that it does not depend on how the rows are partitioned.
    chance *= np.float32(k / max(total, 1.0))
    return np.minimum(chance, np.float32(1), out=chance)


def drawn_uniformly(request: Request, rows: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """k of the marked rows, drawn without regard to scores, by the weights and quotas of the run if it has any.

    Args:
        rows: bool, shape [rows].
        k: of all ranks' rows together, at least 0.
    """
    if request.table.sample_weight is None and request.quotas is None:
        return random_part(rows, k, request.rng("floor"), request.table.owned)
    drawn = replace(request, k=k).sample(rows.astype(np.float32)).ids if k else np.empty(0, dtype=np.int64)
    return drawn[rows[drawn]]


def balanced(
    request: Request, chance: NDArray[np.float32], sure: NDArray[np.int64], never: NDArray[np.int64]
) -> Selection:
    """k samples: the ``sure`` ones, and of the others those with the highest credit. Their turns are written down.

    Args:
        chance: float32, shape [rows], in [0, 1].
        sure: int64, shape [M], rows that are taken whatever their credit.
        never: those that are left out.
    """
    table = request.table
    if request.quotas is not None:
        available = request.quotas.available(None if table.sample_weight is None else table.sample_weight > 0)
        chance = _within(request.quotas, request.quotas.expected(request.k, available), chance)
    credit = table.extra[CREDIT] + chance
    start = request.rng("start", every_epoch=False)
    keys = credit + table.owned.draw(start, lambda generator, out: generator.random(out=out, dtype=np.float32))
    keys[sure], keys[never] = np.inf, -np.inf
    keys[np.isnan(table.loss)] = np.nan
    selection = request.top(keys)
    credit[selection.ids] -= 1
    request.keep(CREDIT, credit)
    return selection


def _within(quotas: Quotas, expected: NDArray[np.float64], chance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chances that add up to what is expected of each class that has any; such a table is never partitioned."""
    scaled = chance.copy()
    for rows, count in zip(quotas.by_class(), expected.tolist(), strict=True):
        total = float(chance[rows].sum(dtype=np.float64))
        if total > 0:
            scaled[rows] = np.minimum(chance[rows] * np.float32(min(count / total, _MOST)), np.float32(1))
    return scaled
