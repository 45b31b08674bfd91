"""What nearest neighbours tell of a representation: labels, and whether it knows a sample's other view."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from emprune.errors import ArgumentError

GALLERY = 2048
"""Largest number of samples among whose views a view is looked for."""


@torch.no_grad()
def knn_predict(
    features: torch.Tensor,
    labels: torch.Tensor,
    queries: torch.Tensor,
    num_classes: int,
    k: int = 200,
    temperature: float = 0.1,
    chunk: int = 512,
) -> torch.Tensor:
    """Classes of the queries by weighted nearest neighbours (Wu et al. 2018, arXiv:1805.01978, section 3.4).

    Each of a query's k nearest neighbours by cosine s votes for its class with the weight exp(s/τ). The paper's τ is
    0.07 and its k 200. Equal sums go to the class of the lower number.

    Args:
        features: floating point, shape [N, D], any norm but zero.
        labels: int64, shape [N], in [0, num_classes).
        queries: like ``features``, shape [Q, D].
        k: neighbours that vote, in [1, N]. temperature: τ, above 0.
        chunk: queries at a time, at least 1; memory is that of chunk × N similarities.

    Returns:
        int64, shape [Q], on the features' device.

    Raises:
        ArgumentError: an argument is outside what it may be, a feature is zero, NaN or infinite.
    """
    if not 1 <= k <= len(features):
        raise ArgumentError("k", k, f"an integer in [1, {len(features)}], the number of labelled features")
    if not 0 < temperature < float("inf"):
        raise ArgumentError("temperature", temperature, "a finite number above 0")
    check_labels(labels, len(features), num_classes)
    gallery, asked = _directions("features", features), _directions("queries", queries)
    if gallery.shape[1] != asked.shape[1]:
        raise ArgumentError("queries", list(queries.shape), f"[Q, {features.shape[1]}], as wide as the features")
    predicted = [torch.empty(0, dtype=torch.int64, device=features.device)]
    for some in torch.split(asked, chunk):
        nearest = (some @ gallery.T).topk(k, sorted=False)
        # Relative to the nearest one: the same votes but for a factor, and no overflow however small τ is.
        weights = ((nearest.values - nearest.values.amax(1, keepdim=True)) / temperature).exp()
        votes = weights.new_zeros(len(some), num_classes).scatter_add_(1, labels[nearest.indices], weights)
        predicted.append(votes.argmax(1))
    return torch.cat(predicted)


@torch.no_grad()
def retrieved(first: torch.Tensor, second: torch.Tensor, gallery: int = GALLERY) -> torch.Tensor:
    """Whether each sample's two views are each other's nearest neighbours, by cosine: instance retrieval.

    True where both directions succeed: the second view is strictly nearer to the first than any other view, of any
    sample, is, and the first is to the second. A collapsed representation, which has nothing but ties, retrieves none.

    The other views are those of a group of consecutive samples, not of the whole set, so that the time is linear in N:
    the set is cut into the fewest groups of at most ``gallery`` samples, as equal in size as can be. Compare only
    what comes of the same samples in the same order: the larger the groups, the harder the task.

    Args:
        first, second: floating point, shape [N, D], the samples' two views in the same order, any norm but zero.
        gallery: largest group, at least 2; memory is that of (2·gallery)² similarities.

    Returns:
        bool, shape [N].

    Raises:
        ArgumentError: the shapes differ, N is below 2, a feature is zero, NaN or infinite.
    """
    if gallery < 2:
        raise ArgumentError("gallery", gallery, "an integer of at least 2")
    if first.shape != second.shape or len(first) < 2:
        raise ArgumentError(
            "second", list(second.shape), f"{list(first.shape)}, the shape of first, with at least 2 samples"
        )
    groups = -(-len(first) // gallery)
    views = zip(
        _directions("first", first).tensor_split(groups), _directions("second", second).tensor_split(groups),
        strict=True,
    )  # fmt: skip
    return torch.cat([retrieved_within(*pair) for pair in views])


@torch.no_grad()
def retrieved_within(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """:func:`retrieved` among all samples given, for training steps: values are not checked, no device waited for.

    Args:
        first, second: float32 or float64, shape [B, D], any norm. With a NaN anywhere none is retrieved.

    Returns:
        bool, shape [B].
    """
    both = normalize(torch.cat([first, second]))
    likeness = (both @ both.T).fill_diagonal_(-torch.inf)
    places = torch.arange(len(both), device=both.device)
    others = places.roll(len(first))
    of_other_view = likeness[places, others]
    likeness[places, others] = -torch.inf
    return (of_other_view > likeness.amax(1)).view(2, -1).all(0)


def check_labels(labels: torch.Tensor, count: int, num_classes: int) -> None:
    """Raise ArgumentError unless labels are int64, shape [count], in [0, num_classes)."""
    if labels.dtype != torch.int64 or labels.shape != (count,):
        raise ArgumentError("labels", f"{labels.dtype} {list(labels.shape)}", f"int64 [{count}], one a feature")
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ArgumentError(
            "labels", f"{int(labels.min())} to {int(labels.max())}", f"in [0, {num_classes}), the classes"
        )


def check_features(name: str, features: torch.Tensor) -> None:
    """Raise ArgumentError unless features are finite floating point values of shape [N, D]."""
    if features.ndim != 2 or not features.is_floating_point():
        raise ArgumentError(name, f"{features.dtype} {list(features.shape)}", "floating point [N, D]")
    wrong = (~features.isfinite().all(1)).nonzero().flatten().tolist()
    if wrong:
        raise ArgumentError(name, f"NaN or infinite in {len(wrong)} rows, first {wrong[:5]}", "finite values")


def _directions(name: str, features: torch.Tensor) -> torch.Tensor:
    check_features(name, features)
    zero = (features == 0).all(1).nonzero().flatten().tolist()
    if zero:
        raise ArgumentError(name, f"zero in {len(zero)} rows, first {zero[:5]}", "features with a direction")
    return normalize(features if features.dtype == torch.float64 else features.float())
