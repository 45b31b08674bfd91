"""Weighted nearest neighbours against scikit-learn's, instance retrieval against a loop."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from emprune.errors import ArgumentError
from emprune_lab.contrastive.neighbours import knn_predict, retrieved, retrieved_within


@pytest.fixture(scope="module")
def digits():
    """Embeddings of scikit-learn's digits, 1,297 labelled and 500 asked for."""
    images, labels = load_digits(return_X_y=True)
    embedded = torch.from_numpy(PCA(8, random_state=0).fit_transform(images))
    labels = torch.from_numpy(labels).long()
    return embedded[:1297], labels[:1297], embedded[1297:], labels[1297:]


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (20, 0.07), (200, 0.1), (200, 1.0), (1297, 0.1)])
def test_it_predicts_what_scikit_learn_predicts(digits, k, temperature):
    features, labels, queries, _ = digits
    unit = [each / each.norm(dim=1, keepdim=True) for each in (features, queries)]
    # Between unit vectors the squared distance is 2 - 2s.
    peer = KNeighborsClassifier(
        k, weights=lambda distance: np.exp((1 - distance**2 / 2) / temperature), algorithm="brute"
    ).fit(unit[0].numpy(), labels.numpy())
    found = knn_predict(features, labels, queries, 10, k, temperature, chunk=77)
    assert found.dtype == torch.int64
    assert torch.equal(found, torch.from_numpy(peer.predict(unit[1].numpy())))


def test_float32_and_chunks_change_next_to_nothing(digits):
    features, labels, queries, truth = digits
    double = knn_predict(features, labels, queries, 10)
    single = knn_predict(features.float(), labels, queries.float(), 10, chunk=1)
    assert (double == single).float().mean() > 0.99
    assert (double == truth).float().mean() > 0.85


def test_weights_matter():
    """Two far neighbours of class 1 are outvoted by a near one of class 0, unless the temperature is high."""
    features = torch.tensor([[1.0, 0.1], [1.0, 1.0], [1.0, -1.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 1, 1, 1])
    query = torch.tensor([[5.0, 0.0]])
    assert knn_predict(features, labels, query, 2, k=3, temperature=0.1).item() == 0
    assert knn_predict(features, labels, query, 2, k=3, temperature=10.0).item() == 1
    assert knn_predict(features, labels, query, 2, k=1, temperature=10.0).item() == 0
    assert knn_predict(features, labels, query, 2, k=3, temperature=1e-4).item() == 0


def test_nothing_asked(digits):
    features, labels, queries, _ = digits
    assert knn_predict(features, labels, queries[:0], 10).shape == (0,)


def by_loop(first, second):
    views = torch.cat([first, second]).double()
    count, found = len(first), []
    for sample in range(count):
        hits = []
        for view, other in ((sample, sample + count), (sample + count, sample)):
            likeness = {
                index: float(torch.cosine_similarity(views[view], views[index], dim=0))
                for index in range(2 * count)
                if index != view
            }
            hits.append(max(likeness, key=likeness.get) == other)
        found.append(all(hits))
    return torch.tensor(found)


def views_of(count, noise, width=6):
    rng = torch.Generator().manual_seed(count)
    samples = torch.randn(count, width, generator=rng)
    first, second = (samples + noise * torch.randn(count, width, generator=rng) for _ in range(2))
    return first, 7 * second


@pytest.mark.parametrize("noise", [0.1, 0.4, 0.8])
def test_retrieval_is_that_of_a_loop(noise):
    first, second = views_of(40, noise)
    found = retrieved(first, second)
    assert found.dtype == torch.bool
    assert torch.equal(found, by_loop(first, second))
    assert torch.equal(retrieved(second, first), found)
    assert torch.equal(retrieved_within(first, second), found)
    if noise > 0.1:
        assert 0 < found.sum() < 40


def test_retrieval_looks_within_consecutive_groups_of_equal_size():
    first, second = views_of(40, 0.4)
    expected = torch.cat([by_loop(first[part], second[part]) for part in (slice(14), slice(14, 27), slice(27, 40))])
    assert torch.equal(retrieved(first, second, gallery=19), expected)
    assert not torch.equal(expected, retrieved(first, second))


def test_one_direction_is_not_enough():
    """The third view's nearest is the second; the second's is its own other view."""
    angles = torch.tensor([0.0, 0.1, 0.25, 2.0])
    first, second = torch.stack([angles.cos(), angles.sin()], 1).view(2, 2, 2).transpose(0, 1)
    assert retrieved(first, second).tolist() == [True, False]
    assert retrieved(first.flip(0), second.flip(0)).tolist() == [False, True]


def test_within_a_step_nothing_is_checked():
    first, second = views_of(4, 0.1)
    first[1] = float("nan")
    assert not retrieved_within(first, second).any()
    assert retrieved_within(first[:1], second[:1]).tolist() == [True]


def test_nothing_is_retrieved_from_a_collapsed_representation():
    assert not retrieved(torch.eye(4)[:1].expand(8, 4), torch.eye(4)[:1].expand(8, 4)).any()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 5}, r"k is 5; allowed: an integer in \[1, 4\]"),
        ({"temperature": 0.0}, "temperature is"),
        ({"labels": torch.tensor([0, 1, 2, 3])}, "labels is '0 to 3'"),
        ({"labels": torch.tensor([0, 1, 2])}, "labels is"),
        ({"queries": torch.ones(2, 3)}, "queries is"),
        ({"queries": torch.tensor([[0.0, 0.0]])}, "queries is 'zero in 1 rows"),
        ({"features": torch.tensor([[1.0, float("nan")]]).expand(4, 2)}, "features is 'NaN or infinite in 4 rows"),
        ({"features": torch.ones(4, 2).long()}, "features is"),
    ],
)
def test_neighbours_that_cannot_be_found(change, named):
    right = {"features": torch.eye(4, 2) + 1, "labels": torch.tensor([0, 1, 2, 0]), "queries": torch.ones(2, 2), "k": 2}
    knn_predict(**right, num_classes=3)
    with pytest.raises(ArgumentError, match=named):
        knn_predict(**(right | change), num_classes=3)


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (torch.ones(1, 2), torch.ones(1, 2), "at least 2 samples"),
        (torch.ones(3, 2), torch.ones(2, 2), "second is"),
        (torch.ones(2, 2), torch.zeros(2, 2), "second is 'zero in 2 rows"),
        (torch.full((2, 2), torch.inf), torch.ones(2, 2), "first is 'NaN or infinite"),
    ],
)
def test_views_that_cannot_be_retrieved(first, second, named):
    with pytest.raises(ArgumentError, match=named):
        retrieved(first, second)


def test_a_gallery_of_one_sample():
    with pytest.raises(ArgumentError, match="gallery is 1"):
        retrieved(torch.eye(2), torch.eye(2), gallery=1)
