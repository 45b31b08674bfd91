"""What is memorised of each sample, from models trained on random subsets: pure functions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import rankdata
from studies.memorization.ranks import spearman

from emprune.errors import ArgumentError
from emprune.seeding import generator

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TARGETS = ("mem", "gain", "votes")
"""mem: P[right | trained on] − P[right | not trained on]; gain: the same of the loss, in nats; votes: I(f(x); w|x)."""

_SPLITS = 20


class SubsetModels(NamedTuple):
    """M models on N samples.

    Attributes:
        inside: bool, shape [M, N], whether model m was trained on sample n.
        predicted: integers, shape [M, N], classes. loss: floating point, shape [M, N], nats.
    """

    inside: Mask
    predicted: NDArray[Any]
    loss: NDArray[np.float32]

    def part(self, models: Any = slice(None), samples: Any = slice(None)) -> SubsetModels:
        """Some of the models, and of the samples."""
        return SubsetModels(*(column[models][:, samples] for column in self))


def contrast(inside: Mask, values: NDArray[Any]) -> Floats:
    """Mean over the models trained on a sample less the mean over those that were not: float64, shape [N].

    Of whether a model is right this is mem(i) = P[right on i | trained on i] − P[right on i | not trained on i], in
    [-1, 1], by the subsampled estimator of Feldman & Zhang, arXiv:2008.03703: one set of models, each trained on a
    random part of the data, serves all samples. It estimates the memorisation of training sets of the subsets' size.
    Higher: the label is reproduced only if it was trained on.

    Args:
        inside: bool, shape [M, N]. values: shape [M, N].

    Raises:
        ArgumentError: a sample is in all subsets or in none.

    >>> inside, right = [[True], [True], [False], [False]], [[True], [True], [True], [False]]
    >>> contrast(np.array(inside), np.array(right))
    array([0.5])
    """
    if not np.all(_seen_both_ways(inside)):
        raise ArgumentError(
            "models", len(inside), "enough that every sample is in some subsets and outside others",
            "Train more subset models.",
        )  # fmt: skip
    values = values.astype(np.float64)
    difference: Floats = values.mean(axis=0, where=inside) - values.mean(axis=0, where=~inside)
    return difference


def _seen_both_ways(inside: Mask) -> Mask:
    """bool, shape [N]: samples that some of the models were trained on and some were not."""
    return np.asarray(inside.any(axis=0) & ~inside.all(axis=0))


def vote_entropy(predicted: NDArray[Any], num_classes: int) -> Floats:
    """Entropy of the class predicted, over the models, in nats, in [0, log C]: float64, shape [N].

    This is I(f(x); w | x) for f the predicted class: given x and w it is certain, so all its entropy over w is
    information about w. Estimated from the frequencies, which makes it too small by about
    (classes that occur − 1)/(2M).
    """
    shares = np.stack([(predicted == one).mean(axis=0) for one in range(num_classes)])
    return np.asarray(entr(shares).sum(axis=0))


def estimates(models: SubsetModels, labels: NDArray[np.int64], num_classes: int) -> dict[str, Floats]:
    """Every one of :data:`TARGETS`, each of shape [N]; labels are those trained on."""
    return {
        "mem": contrast(models.inside, models.predicted == labels),
        "gain": -contrast(models.inside, models.loss),
        "votes": vote_entropy(models.predicted, num_classes),
    }


def reliability(models: SubsetModels, labels: NDArray[np.int64], num_classes: int) -> dict[str, dict[str, float]]:
    """How well the models agree on each target: Spearman correlations of two halves' estimates, split at random.

    Of few models a half may have no estimate for some samples; these are left out of that split.

    Returns:
        For each target: halves, the mean correlation over random splits; all_models, what two sets of M models each
        would have, by the Spearman–Brown formula 2r / (1 + r); bound, √all_models, about the highest correlation that
        any score can have with the estimate (the attenuation formula, which is exact for Pearson's coefficient and
        linear errors); ceiling, the correlation of the estimate with a score without ties that orders the samples
        as it does: the highest possible where many samples tie, as all those never memorised do at mem = 0.
    """
    found: dict[str, list[float]] = {target: [] for target in TARGETS}
    for split in range(_SPLITS):
        order = generator(0, split, "split of the subset models").permutation(len(models.inside))
        halves = [models.part(half) for half in np.array_split(order, 2)]
        usable = _seen_both_ways(halves[0].inside) & _seen_both_ways(halves[1].inside)
        one, other = (estimates(half.part(samples=usable), labels[usable], num_classes) for half in halves)
        for target in TARGETS:
            found[target].append(spearman(one[target], other[target]))
    every = estimates(models, labels, num_classes)
    return {target: _agreement(float(np.mean(found[target])), every[target]) for target in TARGETS}


def _agreement(halves: float, estimate: Floats) -> dict[str, float]:
    all_models = 2 * halves / (1 + halves) if halves > 0 else 0.0
    untied = rankdata(estimate, method="ordinal")
    return {
        "halves": halves, "all_models": all_models, "bound": all_models**0.5, "ceiling": spearman(estimate, untied)
    }  # fmt: skip
