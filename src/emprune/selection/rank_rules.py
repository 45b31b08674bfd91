"""The selection rules on the rows of one rank; :mod:`emprune.selection.rules` states them for a whole table.

All ranks call a rule together, with the scores of their own rows, the same k and generators in the same state. Put
together, their selections are what one rank with all the scores would select.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from emprune.checks import number
from emprune.distributed.rank_slice import RankSlice
from emprune.errors import ArgumentError
from emprune.selection.quotas import Quotas
from emprune.selection.topk import Floats, Ids, Mask, random_part, smallest_parts

_CHUNK = 65_536
_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Selection:
    """What a rule returns.

    Attributes:
        ids: int64, shape [k], distinct dataset positions, in no particular order. Of a partitioned table: rows of this
            rank, k on all ranks together.
        weights: float32, shape [k], factor of each sample's loss; None stands for ones.
        head: how many ids, at the head, come before those of all ranks' tails in the epoch's order.
    """

    ids: Ids
    weights: Floats | None = None
    head: int = 0


@dataclass(frozen=True)
class RankRules:
    """k samples of all ranks' rows.

    Args:
        owned: the rows of this rank.
        k: from 1 to the number of all ranks' rows.
        rng: in the same state on every rank.
        log_weights: float32, shape [rows]: log of what multiplies the probability of each row in ``uniform`` and
            ``sample``; -inf for rows that no rule takes, of which at least k others are. None: all weigh the same.
        quotas: how many of each class; of a table that is whole. None: as it comes.

    Raises:
        ArgumentError: k is out of range.
    """

    owned: RankSlice
    k: int
    rng: np.random.Generator
    log_weights: Floats | None = None
    quotas: Quotas | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.owned.num_samples:
            raise ArgumentError("k", self.k, f"an integer from 1 to the number of samples, {self.owned.num_samples}")

    def uniform(self) -> Selection:
        """See :func:`emprune.selection.uniform`; with weights or quotas as ``sample`` of equal scores."""
        if self.log_weights is not None or self.quotas is not None:
            return self.sample(np.ones(self.owned.size, dtype=np.float32))
        return Selection(random_part(np.ones(self.owned.size, dtype=bool), self.k, self.rng, self.owned))

    def top(self, scores: Floats) -> Selection:
        """See :func:`emprune.selection.top`."""
        return self._smallest(-self._checked(scores))

    def sample(self, scores: Floats, *, gamma: float = 1.0) -> Selection:
        """See :func:`emprune.selection.sample`."""
        scores = self._checked(scores)
        gamma = check_gamma(gamma)
        return self._smallest(self._sampling_keys(scores, np.float32(min(gamma, _MOST))))

    def threshold(
        self, scores: Floats, *, below_share: float = 0.8, weight_sum: Literal["kept", "all"] = "kept"
    ) -> Selection:
        """See :func:`emprune.selection.threshold`."""
        scores, owned, k = self._checked(scores), self.owned, self.k
        below_share = check_threshold(below_share, weight_sum)
        usable = owned.count(~np.isnan(scores))
        if k >= usable:
            return self._smallest(-scores)
        draws = max(1, int(np.ceil(below_share * k)))
        mean = owned.finite_mean(scores)
        above = (scores > mean) & (scores < np.inf)
        most, count = k - draws, owned.count(above)
        if count > most:  # the lowest of them that do not fit, counted from the lowest score of all
            above &= scores > owned.kth_smallest(scores, owned.count(scores <= mean) + count - most)
            count = owned.count(above)
        selection = self._reweighted(above, ~above & ~np.isnan(scores), k - count)
        if weight_sum == "kept" and selection.weights is not None:
            return replace(selection, weights=selection.weights * np.float32(k / usable))
        return selection

    def threshold_published(self, scores: Floats, prune_rate: float) -> Selection:
        """See :func:`emprune.selection.threshold_published`; k plays no part."""
        scores, owned = self._checked(scores), self.owned
        if owned.count(~np.isnan(scores)) == 0:
            return Selection(np.arange(len(scores), dtype=np.int64))
        is_below = scores < owned.finite_mean(scores)
        count = owned.count(is_below)
        draws = max(1, round((1 - prune_rate) * count)) if count else 0
        return self._reweighted(~is_below & ~np.isnan(scores), is_below, draws)

    def _smallest(self, keys: Floats) -> Selection:
        if self.quotas is not None:
            return self._of_each_class(keys, self.quotas)
        if self.log_weights is not None:
            keys = self._by_weight(keys, self.log_weights)
        sure, drawn = smallest_parts(keys, self.k, self.rng, self.owned)
        return Selection(np.concatenate([sure, drawn]), head=len(sure))

    def _of_each_class(self, keys: Floats, quotas: Quotas) -> Selection:
        """The smallest keys of each class, as many as its quota says."""
        logs = self.log_weights
        available = quotas.available(None if logs is None else logs > -np.inf)
        counts = quotas.counts(self.k, available, self.rng).tolist()
        parts = []
        for rows, count in zip(quotas.by_class(), counts, strict=True):
            if count:
                inside = RankSlice.whole(len(rows))
                rules = RankRules(inside, count, self.rng, None if logs is None else logs[rows])
                parts.append(rows[rules._smallest(keys[rows]).ids])
        return Selection(np.concatenate(parts))

    def _by_weight(self, keys: Floats, logs: Floats) -> Floats:
        """Keys in the same order, rows of weight 0 behind all others, and ties at the boundary broken by weight."""
        excluded = logs == -np.inf
        if (usable := self.owned.count(~excluded)) < self.k:
            raise ArgumentError(
                "sample_weight", f"above 0 for {usable} samples", f"above 0 for at least {self.k}, which an epoch keeps"
            )
        keys = np.where(np.isnan(keys), np.float32(np.inf), np.minimum(keys, np.float32(_MOST)))
        keys[excluded] = np.nan
        boundary = self.owned.kth_smallest(keys, self.k)
        tied, sure = keys == boundary, keys < boundary
        if self.owned.count(tied | sure) > self.k:
            drawn = self._sampling_keys(np.ones_like(keys), np.float32(1))
            keys = np.where(tied, drawn, np.where(sure, np.float32(-np.inf), np.float32(np.nan)))
        return keys

    def _reweighted(self, above: Mask, below: Mask, draws: int) -> Selection:
        """All of ``above`` with weight 1, ``draws`` of the B in ``below`` with weight B/draws."""
        sure, drawn = np.flatnonzero(above), random_part(below, draws, self.rng, self.owned)
        weights = np.ones(len(sure) + len(drawn), dtype=np.float32)
        count = self.owned.count(below)
        if draws:
            weights[len(sure) :] = count / min(draws, count)
        return Selection(np.concatenate([sure, drawn]), weights, len(sure))

    def _sampling_keys(self, scores: Floats, gamma: np.float32) -> Floats:
        """log(E / score^γ) with E ~ Exp(1), NaN where the score is: the k smallest are the sample."""
        low = self.owned.lowest(scores) if gamma else np.float32(0)
        keys = self.owned.draw(
            self.rng, lambda generator, out: generator.standard_exponential(out=out, dtype=np.float32)
        )
        for begin in range(0, len(keys), _CHUNK):  # by chunks, so that intermediate values stay in the cache
            part = slice(begin, begin + _CHUNK)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                log_power = np.zeros_like(keys[part]) if gamma == 0 else gamma * np.log(lifted(scores[part], low))
                if self.log_weights is not None:
                    log_power = log_power + self.log_weights[part]
                keys[part] = np.log(keys[part]) - log_power
        if gamma == 0:
            keys[np.isnan(scores)] = np.nan
        return keys

    def _checked(self, scores: Floats) -> Floats:
        scores = np.asarray(scores, dtype=np.float32)
        if scores.shape != (self.owned.size,):
            raise ArgumentError("scores", f"of shape {scores.shape}", f"one score a sample, shape [{self.owned.size}]")
        return scores


def lifted(scores: Floats, low: float | np.float32) -> Floats:
    """How far the scores lie above ``low``, which is the lowest of them or 0; +inf and NaN stay."""
    if low == 0:
        return np.maximum(scores, 0)
    above = np.clip(scores.astype(np.float64) - low, 0, _MOST)
    return np.where(np.isposinf(scores), scores, above.astype(np.float32))


def check_gamma(gamma: float) -> float:
    """γ as Python's number. Raise ArgumentError unless it suits rule "sample"."""
    return number("gamma", gamma, "a finite number of at least 0", lambda value: 0 <= value < np.inf)


def check_threshold(below_share: float, weight_sum: str) -> float:
    """``below_share`` as Python's number. Raise ArgumentError unless the settings suit rule "threshold"."""
    if weight_sum not in ("kept", "all"):
        raise ArgumentError("weight_sum", weight_sum, "'kept' or 'all'")
    return number("below_share", below_share, "a number in (0, 1]", lambda value: 0 < value <= 1)
