"""EMP and LFL: rank by loss plus memory term, or by loss alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emprune.checks import number
from emprune.errors import ArgumentError
from emprune.policies.base import Policy, Request
from emprune.selection import RULES, Selection
from emprune.selection.rank_rules import check_gamma
from emprune.table import Unseen, check_unseen

_MOST = float(np.finfo(np.float32).max)


class LFL(Policy):
    """The k highest last losses: EMP's β = 0, the rule that shows Low-Frequency Learning.

    Samples never seen come first. Source: the baseline in Xiao et al., arXiv:2408.16031.
    """

    name = "lfl"
    source = "Xiao et al. 2024, arXiv:2408.16031 (the problem; EMP with β = 0)"
    streams = True
    partitionable = True
    honours = ("sample_weight", "quotas")

    def select(self, request: Request) -> Selection:
        return request.top(request.weighted(request.table.rank(request.table.loss, "first")))


@dataclass(repr=False)
class EMP(Policy):
    """Score L + β·M, then a selection rule (Xiao et al., arXiv:2408.16031).

    L is the sample's last loss and M its memory term, both in nats; in supervised learning M is the
    entropy of the prediction. The score is the paper's as summarised publicly; β, the selection rule, its
    exponent and the place of unseen samples are not public: the defaults here are this project's, chosen
    by measurement on one data set. :class:`GatedEMP`, the pruner's default, lets training decide the
    exponent. Scores below zero, as of a density's loss, are ranked as :func:`emprune.selection.sample` says.

    M may be left out of all steps of a run, for losses that have no memory term: the score is then L alone (β = 0),
    and with rule "sample" its probability is in proportion to L^γ. The pruner warns of it once.

    Args:
        beta: β ≥ 0, weight of the memory term; 0 with rule "top" is LFL.
        rule: "sample" (probability proportional to score^γ), "top" or "threshold".
        gamma: exponent γ of rule "sample"; ignored by the others.
        unseen: whether samples never seen rank "first" or as the "mean" of the seen ones.
    """

    beta: float = 20.0
    rule: str = "sample"
    gamma: float = 2.0
    unseen: Unseen = "mean"

    name = "emp"
    source = "Xiao et al. 2024, arXiv:2408.16031 (score); rule and defaults are this project's"
    streams = True
    inputs = ("loss", "memory")
    memory_is_optional = True
    partitionable = True
    honours = ("sample_weight", "quotas")

    def __post_init__(self) -> None:
        self.beta = check_beta(self.beta)
        if self.rule not in RULES:
            raise ArgumentError("rule", self.rule, f"one of {', '.join(RULES)}")
        self.gamma = check_gamma(self.gamma)
        check_unseen(self.unseen)

    @classmethod
    def paper(cls, beta: float = 1.0) -> EMP:
        """The score as the paper writes it, L + β·M, and samples drawn in proportion to it.

        Neither the paper's β nor its selection rule is public: β = 1 takes the formula as it stands, and the rule is
        the plainest that fits every score.
        """
        return cls(beta=beta, gamma=1.0)

    def honoured(self) -> tuple[str, ...]:
        return () if self.rule == "threshold" else self.honours

    def select(self, request: Request) -> Selection:
        table = request.table
        scores = table.rank(emp_score(table.loss, table.memory, self.beta), self.unseen)
        if self.rule == "sample":
            return request.sample(scores, gamma=self.gamma)
        return request.top(request.weighted(scores)) if self.rule == "top" else request.threshold(scores)


def emp_score(loss: NDArray[np.float32], memory: NDArray[np.float32], beta: float) -> NDArray[np.float32]:
    """float32, shape [M]: L + β·M, of L and M in the same shape; finite, or NaN where one of them is."""
    with np.errstate(over="ignore", invalid="ignore"):
        scores: NDArray[np.float32] = memory * np.float32(min(beta, _MOST))
        scores[np.isnan(scores)] = 0  # no memory term was given; of quarantined samples the loss is NaN too
        scores += loss
    # A score too large for float32 is the largest, and not +inf, which stands for never seen.
    return np.clip(scores, -_MOST, _MOST, out=scores)


def check_beta(beta: float) -> float:
    """β as a Python number; raise ArgumentError unless it suits EMP's score."""
    return number("beta", beta, "a finite number of at least 0", lambda value: 0 <= value < np.inf)
