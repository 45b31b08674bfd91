"""Weighted nearest neighbours against a loop, and which labels the probe is given."""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from emprune.errors import ArgumentError
from emprune_lab.tasks.contrastive.evaluation import knn_predict, label_part, measures


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


def test_a_part_of_the_labels_holds_the_same_share_of_each_class():
    labels = torch.arange(2000) % 10
    ids = label_part(labels, 0.1, seed=0)
    assert ids.dtype == torch.int64
    assert torch.equal(ids, ids.unique())
    assert labels[ids].bincount().tolist() == [20] * 10
    uneven = torch.arange(10).repeat_interleave(torch.tensor([1, 4, 5, 14, 15, 26, 100, 3, 0, 250]))
    assert uneven[label_part(uneven, 0.1, seed=0)].bincount().tolist() == [1, 1, 1, 1, 2, 3, 10, 1, 0, 25]
    assert torch.equal(label_part(uneven, 1.0, seed=0), torch.arange(len(uneven)))


def test_a_part_depends_on_the_seed_alone_and_grows():
    labels = torch.arange(2000) % 10
    few, many = (set(label_part(labels, fraction, seed=0).tolist()) for fraction in (0.05, 0.1))
    assert few < many
    assert few == set(label_part(labels, 0.05, seed=0).tolist())
    assert few != set(label_part(labels, 0.05, seed=1).tolist())
