"""What an encoder that was trained without labels is worth: labels read from its frozen features."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize

from emprune.errors import ArgumentError
from emprune.seeding import generator
from emprune_lab.tasks.contrastive.probe import fit_probe

LABELLED = 0.1
"""Fraction of the labels that the scarce probe is given."""


def measures(
    features: torch.Tensor,
    labels: torch.Tensor,
    test_features: torch.Tensor,
    test_labels: torch.Tensor,
    num_classes: int,
    seed: int,
) -> dict[str, float]:
    """Accuracies on the test set: weighted nearest neighbours, a linear probe, and one on a tenth of the labels.

    Args:
        features, labels: float32 [N, D] and int64 [N] of the whole training set, pruned or not.
        test_features, test_labels: likewise. All four on one device.
        seed: of which labels the scarce probe is given.

    Raises:
        ArgumentError: a feature is NaN or infinite.
    """
    if not (features.isfinite().all() and test_features.isfinite().all()):
        raise ArgumentError(
            "features", "NaN or infinite", "finite values", "The training diverged: lower the learning rate."
        )
    few = label_part(labels, LABELLED, seed)
    predicted = {
        "knn": knn_predict(features, labels, test_features),
        "linear probe": fit_probe(features, labels, num_classes).logits(test_features).argmax(1),
        "linear probe, 10 % of labels": fit_probe(features[few], labels[few], num_classes)
        .logits(test_features)
        .argmax(1),
    }
    return {name: float((found == test_labels).float().mean()) for name, found in predicted.items()}


def knn_predict(
    features: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor, k: int = 200, temperature: float = 0.1
) -> torch.Tensor:
    """Classes of the queries by weighted nearest neighbours (Wu et al. 2018, arXiv:1805.01978, section 3.4).

    Each of a query's k nearest neighbours by cosine s votes for its class with the weight exp(s/τ). The paper's τ is
    0.07 and its k 200. Equal sums go to the class of the lower number.

    Args:
        features: floating point, shape [N, D], finite.
        labels: int64, shape [N].
        queries: like ``features``, shape [Q, D].
        k: neighbours that vote; all N where there are fewer.
        temperature: τ, above 0.

    Returns:
        int64, shape [Q], on the features' device.
    """
    from sklearn.neighbors import KNeighborsClassifier

    # Between unit vectors the squared distance is 2 - 2s. The factor exp(1/τ), which all votes share, is left out.
    neighbours = KNeighborsClassifier(
        min(k, len(features)), weights=lambda distance: np.exp(-(distance**2) / (2 * temperature)), algorithm="brute"
    )
    neighbours.fit(normalize(features).cpu().numpy(), labels.cpu().numpy())
    # Not ``predict``, which takes several times as long for the same answer.
    votes = neighbours.predict_proba(normalize(queries).cpu().numpy())
    return torch.from_numpy(neighbours.classes_[votes.argmax(1)]).to(features.device)


def label_part(labels: torch.Tensor, fraction: float, seed: int) -> torch.Tensor:
    """Ids of a random part of each class: the fraction of its samples, rounded, but at least one.

    So classes keep their shares, which are equal where the set's are.

    Args:
        labels: int64, shape [N], N at least 1.
        fraction: in (0, 1].
        seed: of which samples; a larger fraction contains a smaller one's.

    Returns:
        int64 ids, ascending, on the labels' device.

    >>> label_part(torch.tensor([0, 0, 0, 0, 1]), 0.5, seed=0).tolist()
    [0, 1, 4]
    """
    classes = labels.cpu().numpy()
    picked = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        count = max(1, int(fraction * len(members) + 0.5))
        picked.append(generator(seed, 0, f"labels of class {label}").permutation(members)[:count])
    return torch.from_numpy(np.sort(np.concatenate(picked))).to(labels.device)
