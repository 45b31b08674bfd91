"""What an encoder that was trained without labels is worth: labels read from its frozen features."""

from __future__ import annotations

import torch

from emprune_lab.contrastive.neighbours import knn_predict
from emprune_lab.contrastive.probe import label_part, linear_probe

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
        test_features, test_labels: likewise.
        seed: of which labels the scarce probe is given.
    """
    few = label_part(labels.cpu(), LABELLED, seed).to(labels.device)
    predicted = {
        "knn": knn_predict(features, labels, test_features, num_classes),
        "linear probe": linear_probe(features, labels, test_features, num_classes),
        "linear probe, 10 % of labels": linear_probe(features[few], labels[few], test_features, num_classes),
    }
    return {name: float((found == test_labels).float().mean()) for name, found in predicted.items()}
