"""Even counts: each sample is trained as often as its chances add up to, but for about one time.

With independent draws, of samples that have a chance of 0.1 an epoch 4 % have no turn in 30 epochs, and 7 % six or
more. Here each sample has a credit, to which every epoch adds its chance π and from which every turn takes 1; those
with the highest credit have their turn. Where all chances are equal, every sample is trained once before any is trained
twice, as in RS2 (Okanovic et al. 2024, arXiv:2305.18424). Since credits begin at random in [0, 1), π is the probability
of a turn (systematic sampling, Madow 1949), but for the few by which the samples whose credit reaches 1 differ from k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emprune.policies.base import Request
from emprune.selection import Selection
from emprune.selection.inclusion import inclusion, log_rate

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
    owned, logs = request.table.owned, request.table.log_weights()
    rate = np.float32(log_rate(scores, k, request.rng("inclusion"), gamma=gamma, owned=owned, log_weights=logs))
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = inclusion(np.float32(gamma) * np.log(scores) + logs + rate)
    chance[~(scores > 0)] = 0  # also where it is NaN, 0 times the infinite rate at which all are taken
    [total] = owned.sums(chance.sum(dtype=np.float64))
    # Rounded, so that it does not depend on how the rows are partitioned.
    chance *= np.float32(k / max(total, 1.0))
    return np.minimum(chance, np.float32(1), out=chance)


def balanced(
    request: Request, chance: NDArray[np.float32], sure: NDArray[np.int64], never: NDArray[np.int64]
) -> Selection:
    """k samples: the ``sure`` ones, and of the others those with the highest credit. Their turns are written down.

    Args:
        chance: float32, shape [rows], in [0, 1].
        sure: int64, shape [M], rows that are taken whatever their credit. never: those that are left out.
    """
    table = request.table
    credit = table.extra[CREDIT] + chance
    start = request.rng("start", every_epoch=False)
    keys = credit + table.owned.draw(start, lambda generator, out: generator.random(out=out, dtype=np.float32))
    keys[sure], keys[never] = np.inf, -np.inf
    keys[np.isnan(table.loss)] = np.nan
    selection = request.top(keys)
    credit[selection.ids] -= 1
    request.keep(CREDIT, credit)
    return selection
