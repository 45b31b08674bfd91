"""Weighted nearest neighbours and instance retrieval, each against a loop."""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from emprune.errors import ArgumentError
from emprune_lab.tasks.contrastive.evaluation import knn_predict, measures
from emprune_lab.tasks.contrastive.retrieval import retrieved


@pytest.fixture(scope="module")
def digits():
    """Embeddings of scikit-learn's digits, 1,297 labelled and 500 asked for."""
    images, labels = load_digits(return_X_y=True)
    embedded = torch.from_numpy(PCA(8, random_state=0).fit_transform(images))
    labels = torch.from_numpy(labels).long()
    return embedded[:1297], labels[:1297], embedded[1297:], labels[1297:]


def votes_by_loop(features, labels, query, k, temperature):
    """The class of one query, as the paper writes it."""
    likeness = torch.cosine_similarity(features, query[None])
    votes = [0.0] * (int(labels.max()) + 1)
    for near in likeness.argsort(descending=True)[:k].tolist():
        votes[int(labels[near])] += float((likeness[near] / temperature).exp())
    return votes.index(max(votes))


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (20, 0.07), (200, 0.1), (200, 1.0), (5000, 0.1)])
def test_neighbours_vote_as_in_the_paper(digits, k, temperature):
    features, labels, queries, _ = digits
    found = knn_predict(features, labels, queries[:100], k, temperature)
    assert found.dtype == torch.int64
    assert found.tolist() == [votes_by_loop(features, labels, query, k, temperature) for query in queries[:100]]


def test_float32_changes_next_to_nothing(digits):
    features, labels, queries, truth = digits
    double = knn_predict(features, labels, queries)
    single = knn_predict(features.float(), labels, queries.float())
    assert (double == single).float().mean() > 0.99
    assert (double == truth).float().mean() > 0.85


def test_weights_matter():
    """Two far neighbours of class 1 are outvoted by a near one of class 0, unless the temperature is high."""
    features = torch.tensor([[1.0, 0.1], [1.0, 1.0], [1.0, -1.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 1, 1, 1])
    query = torch.tensor([[5.0, 0.0]])
    assert knn_predict(features, labels, query, k=3, temperature=0.1).item() == 0
    assert knn_predict(features, labels, query, k=3, temperature=10.0).item() == 1
    assert knn_predict(features, labels, query, k=1, temperature=10.0).item() == 0


def test_features_of_a_diverged_encoder_are_named(digits):
    features, labels, queries, truth = digits
    with pytest.raises(ArgumentError, match=r"features is 'NaN or infinite'.*diverged"):
        measures(features, labels, queries * torch.inf, truth, 10, 0)


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
    if noise > 0.1:
        assert 0 < found.sum() < 40


def test_one_direction_is_not_enough():
    """The third view's nearest is the second; the second's is its own other view."""
    angles = torch.tensor([0.0, 0.1, 0.25, 2.0])
    first, second = torch.stack([angles.cos(), angles.sin()], 1).view(2, 2, 2).transpose(0, 1)
    assert retrieved(first, second).tolist() == [True, False]
    assert retrieved(first.flip(0), second.flip(0)).tolist() == [False, True]


def test_within_a_step_nothing_is_checked():
    first, second = views_of(4, 0.1)
    first[1] = float("nan")
    assert not retrieved(first, second).any()
    assert retrieved(first[:1], second[:1]).tolist() == [True]


def test_nothing_is_retrieved_from_a_collapsed_representation():
    assert not retrieved(torch.eye(4)[:1].expand(8, 4), torch.eye(4)[:1].expand(8, 4)).any()
