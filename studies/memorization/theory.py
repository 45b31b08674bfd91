"""The decomposition behind EMP's memory term, on worlds small enough to count through.

A world is a joint distribution of a source θ, a data set D and weights w, each from a finite set: an array
p[θ, D, w]. A model class is a likelihood q[D, w] = q(D|w). See docs/theory.md for the identity and its proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, rel_entr, xlogy

from emprune.errors import ArgumentError

Joint = NDArray[np.float64]
Axes = tuple[int, ...]

SOURCE, DATA, WEIGHTS = 0, 1, 2
"""The axes of a world."""

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Decomposition:
    """Both sides of the identity (Achille & Soatto, arXiv:1706.01350), in nats.

        H_{p,q}(D|w) = H(D|θ) + I(θ; D|w) + E_w KL( p(D|w) ‖ q(D|w) ) − I(D; w|θ)

    Attributes:
        cross_entropy: the left side, E −log q(D|w): the expected training loss.
        intrinsic_error: H(D|θ) ≥ 0, what no model can predict.
        insufficiency: I(θ; D|w) ≥ 0, what the data still tell of their source to one who holds the weights.
        misfit: E_w KL ≥ 0, how far the likelihood is from the best one for these weights; may be inf.
        memorised: I(D; w|θ) ≥ 0, what the weights hold of this data set beyond its source.
    """

    cross_entropy: float
    intrinsic_error: float
    insufficiency: float
    misfit: float
    memorised: float

    @property
    def total(self) -> float:
        """The right side."""
        return self.intrinsic_error + self.insufficiency + self.misfit - self.memorised


def decompose(world: Joint, likelihood: NDArray[np.float64]) -> Decomposition:
    """Compute every term on its own, from the joint distribution.

    The identity holds for every joint distribution: that θ, D, w form a Markov chain is not needed.

    Args:
        world: float64, p[θ, D, w], non-negative, sums to 1.
        likelihood: float64, q[D, w], each column a distribution over D. Where it is 0 for a D that occurs
            with w, both sides are inf.

    Raises:
        ArgumentError: not distributions, or shapes do not fit.
    """
    _check(world, likelihood)
    return Decomposition(
        cross_entropy=cross_entropy(world, likelihood),
        intrinsic_error=entropy(world, (DATA,), given=(SOURCE,)),
        insufficiency=information(world, (SOURCE,), (DATA,), given=(WEIGHTS,)),
        misfit=misfit(world, likelihood),
        memorised=information(world, (DATA,), (WEIGHTS,), given=(SOURCE,)),
    )


def entropy(joint: Joint, of: Axes, given: Axes = ()) -> float:
    """H(of | given) in nats: the joint entropy of all these axes less that of the given ones.

    >>> round(entropy(np.full((2, 2), 0.25), (0,)), 4), entropy(np.diag([0.5, 0.5]), (0,), given=(1,))
    (0.6931, 0.0)
    """
    return float(entr(_marginal(joint, of + given)).sum() - entr(_marginal(joint, given)).sum())


def information(joint: Joint, first: Axes, second: Axes, given: Axes = ()) -> float:
    """I(first; second | given) in nats.

    >>> round(information(np.diag([0.5, 0.5]), (0,), (1,)), 4)
    0.6931
    """
    return entropy(joint, first, given) - entropy(joint, first, second + given)


def cross_entropy(world: Joint, likelihood: NDArray[np.float64]) -> float:
    """E_{p(D, w)} −log q(D|w), in nats; inf where q is 0 and p is not."""
    return float(-xlogy(_marginal(world, (DATA, WEIGHTS)), likelihood).sum())


def misfit(world: Joint, likelihood: NDArray[np.float64]) -> float:
    """E_w KL( p(D|w) ‖ q(D|w) ), in nats."""
    together = _marginal(world, (DATA, WEIGHTS))
    return float(rel_entr(together, likelihood * together.sum(axis=0)).sum())


def _marginal(joint: Joint, axes: Axes) -> Joint:
    left: Joint = joint.sum(axis=tuple(axis for axis in range(joint.ndim) if axis not in axes))
    return np.asarray(left)


def _check(world: Joint, likelihood: NDArray[np.float64]) -> None:
    if world.ndim != 3 or np.any(world < 0) or not abs(world.sum() - 1) < _TOLERANCE:
        raise ArgumentError(
            "world", f"of shape {world.shape} and sum {world.sum():.6g}", "non-negative p[θ, D, w] that sums to 1"
        )
    sums = likelihood.sum(axis=0)
    if likelihood.shape != world.shape[1:] or np.any(likelihood < 0) or not np.all(np.abs(sums - 1) < _TOLERANCE):
        raise ArgumentError(
            "likelihood", f"of shape {likelihood.shape}",
            f"non-negative q[D, w] of shape {world.shape[1:]} whose columns sum to 1",
        )  # fmt: skip
