"""What is memorised of each sample, from models trained on random subsets: pure functions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
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

    def part(self, models: NDArray[np.int64]) -> SubsetModels:
        """Some of the models."""
        return SubsetModels(self.inside[models], self.predicted[models], self.loss[models])

    def of_samples(self, chosen: Mask) -> SubsetModels:
        """Some of the samples."""
        return SubsetModels(self.inside[:, chosen], self.predicted[:, chosen], self.loss[:, chosen])


class Reliability(NamedTuple):
    """How well the models agree on a target.

    Attributes:
        halves: Spearman correlation of the estimates of two halves of the models, mean over random splits.
        all_models: what two sets of M models each would have, by the Spearman–Brown formula 2r / (1 + r).
        bound: √all_models, about the highest correlation that any score can have with the estimate (the
            attenuation formula, which is exact for Pearson's coefficient and linear errors).
        ceiling: the correlation of the estimate with a score without ties that orders the samples as it does:
            the highest possible where many samples tie, as all those never memorised do at mem = 0.
    """

    halves: float
    all_models: float
    bound: float
    ceiling: float


def contrast(inside: Mask, values: NDArray[Any]) -> Floats:
    """Mean over the models trained on a sample less the mean over those that were not: float64, shape [N].

    Args:
        inside: bool, shape [M, N]. values: shape [M, N].

    Raises:
        ArgumentError: a sample is in all subsets or in none.
    """
    check_subsets(inside)
    count = inside.sum(axis=0)
    values = values.astype(np.float64)
    within = np.where(inside, values, 0).sum(axis=0) / count
    without: Floats = np.where(inside, 0, values).sum(axis=0) / (len(inside) - count)
    difference: Floats = within - without
    return difference


def check_subsets(inside: Mask) -> None:
    """Raise ArgumentError where a sample is in all subsets or in none."""
    if not np.all(_seen_both_ways(inside)):
        raise ArgumentError(
            "models", len(inside), "enough that every sample is in some subsets and outside others",
            "Train more subset models.",
        )  # fmt: skip


def _seen_both_ways(inside: Mask) -> Mask:
    """bool, shape [N]: samples that some of the models were trained on and some were not."""
    return np.asarray(inside.any(axis=0) & ~inside.all(axis=0))


def memorization(inside: Mask, right: Mask) -> Floats:
    """mem(i) = P[right on i | trained on i] − P[right on i | not trained on i], in [-1, 1].

    The subsampled estimator of Feldman & Zhang, arXiv:2008.03703: one set of models, each trained on a random
    part of the data, serves all samples. It estimates the memorisation of training sets of the subsets' size.
    Higher: the label is reproduced only if it was trained on.

    >>> memorization(np.array([[True], [True], [False], [False]]), np.array([[True], [True], [True], [False]]))
    array([0.5])
    """
    return contrast(inside, right)


def vote_entropy(predicted: NDArray[Any], num_classes: int) -> Floats:
    """Entropy of the class predicted, over the models, in nats, in [0, log C]: float64, shape [N].

    This is I(f(x); w | x) for f the predicted class: given x and w it is certain, so all its entropy over w is
    information about w. Estimated from the frequencies, which makes it too small by about
    (classes that occur − 1)/(2M).
    """
    shares = np.stack([(predicted == one).mean(axis=0) for one in range(num_classes)])
    logs = np.log(np.where(shares > 0, shares, 1.0))
    entropies: Floats = np.maximum(-(shares * logs).sum(axis=0), 0.0)
    return entropies


def estimates(models: SubsetModels, labels: NDArray[np.int64], num_classes: int) -> dict[str, Floats]:
    """Every one of :data:`TARGETS`, each of shape [N]; labels are those trained on."""
    return {
        "mem": memorization(models.inside, models.predicted == labels),
        "gain": -contrast(models.inside, models.loss),
        "votes": vote_entropy(models.predicted, num_classes),
    }


def reliability(models: SubsetModels, labels: NDArray[np.int64], num_classes: int) -> dict[str, Reliability]:
    """Split the models into halves at random and correlate the halves' estimates, for every target.

    Of few models a half may have no estimate for some samples; these are left out of that split.
    """
    found: dict[str, list[float]] = {target: [] for target in TARGETS}
    for split in range(_SPLITS):
        order = generator(0, split, "split of the subset models").permutation(len(models.inside))
        halves = [models.part(half) for half in np.array_split(order, 2)]
        usable = _seen_both_ways(halves[0].inside) & _seen_both_ways(halves[1].inside)
        one, other = (estimates(half.of_samples(usable), labels[usable], num_classes) for half in halves)
        for target in TARGETS:
            found[target].append(spearman(one[target], other[target]))
    every = estimates(models, labels, num_classes)
    return {target: _reliability(float(np.mean(found[target])), every[target]) for target in TARGETS}


def _reliability(halves: float, estimate: Floats) -> Reliability:
    all_models = 2 * halves / (1 + halves) if halves > 0 else 0.0
    untied = np.argsort(np.argsort(estimate, kind="stable"))
    return Reliability(halves, all_models, float(np.sqrt(all_models)), spearman(estimate, untied))
