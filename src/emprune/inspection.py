"""What the last scores say of single samples: the hardest, and those whose labels are probably wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.checks import integer
from emprune.policies.emp import EMP, emp_score

REMEMBERED = float(np.log(2))
"""Loss in nats below which a classification is certainly right: its label has more than half of the probability."""
_WRONG, _SURE = float(np.log(100)), 0.5


def hardest(loss: NDArray[np.float32], memory: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """The rows that are hardest for the network: the highest score L + β·M of EMP, with its default of β = 20.

    The memory term decides where there is one: ambiguous samples come first, and not those of which the network is
    confidently wrong, which :func:`suspects` finds.

    Args:
        loss: float32, shape [N], nats; not finite where a sample was never seen or is quarantined.
        memory: float32, shape [N], nats; NaN where a step gave none, which counts as 0.
        n: how many, at least 0.

    Returns:
        int64, shape [min(n, samples seen)], in descending order, ties in the order of rows.

    Raises:
        ArgumentError: n is no such number.

    >>> hardest(np.float32([0.1, 2.0, np.inf, 1.9]), np.float32([0.1, 0.5, 0.0, 0.9]), 2)
    array([3, 1])
    """
    return _highest(np.where(np.isfinite(loss), emp_score(loss, memory, EMP.beta), np.nan), n)


def suspects(loss: NDArray[Any], n: int) -> NDArray[np.int64]:
    """The rows whose labels are most probably wrong: those with the highest loss, the least probable labels first.

    exp(-loss) is the probability that the network gives the label, the self-confidence of Northcutt et al. 2021
    (arXiv:1911.00068), read in the training step that a sample was last part of, so before that step fitted it. That
    no entropy is subtracted was chosen by measurement (studies/suspects) [ours].

    Args:
        loss: shape [N], nats; not finite where a sample was never seen or is quarantined. Of classifications, the
            cross-entropy; of other tasks a large loss may be an outlier rather than a wrong label. A running average of
            it, which ``Pruner(remember="mean")`` keeps, names more of the wrong labels than the last one.
        n: how many, at least 0.

    Returns:
        int64, shape [min(n, samples seen)], the most probable first, ties in the order of rows.

    Raises:
        ArgumentError: n is no such number.

    >>> suspects(np.array([0.1, 2.0, np.inf, 1.9]), 2)
    array([1, 3])
    """
    return _highest(loss, n)


def suspicion(loss: NDArray[np.float32], mean_loss: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """What says that a label is wrong, for :func:`suspects`: the average of a sample's losses, if kept, else the last.

    Args:
        loss: float32, shape [N], nats, as last seen; NaN where a sample is quarantined, which then is no suspect.
        mean_loss: likewise, a running average; None: not kept.

    Returns:
        float32, shape [N].
    """
    return loss if mean_loss is None else np.where(np.isnan(loss), np.float32(np.nan), mean_loss)


def surely_wrong(loss: NDArray[Any], memory: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the suspects a network is sure of: a label with less than 1 %, and a memory term below 0.5 nats [ours].

    Few of them are right, and many wrong labels are not among them: a number to be warned by, not the number of errors.

    Args:
        loss, memory: as for :func:`hardest`; without a memory term the loss decides alone.

    Returns:
        bool, shape [N].
    """
    unsure = memory >= _SURE
    return np.asarray(np.isfinite(loss) & (loss > _WRONG) & ~unsure)


def _highest(scores: NDArray[Any], n: int) -> NDArray[np.int64]:
    n = integer("n", n, 0)
    seen = np.flatnonzero(np.isfinite(scores))
    return seen[np.argsort(-scores[seen], kind="stable")[:n]].astype(np.int64)
