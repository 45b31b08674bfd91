"""The linear probe against scikit-learn's logistic regression."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from emprune_lab.tasks.contrastive.probe import fit_probe


def linear_probe(features, labels, queries, num_classes, l2=1e-3):
    """Classes of the queries."""
    return fit_probe(features, labels, num_classes, l2).logits(queries).argmax(1)


@pytest.fixture(scope="module")
def digits():
    """600 labelled and 500 asked for; some pixels never change."""
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.from_numpy(images), torch.from_numpy(labels).long()
    assert (images[:600].amax(0) == images[:600].amin(0)).any()
    return images[:600], labels[:600], images[1297:], labels[1297:]


@pytest.mark.parametrize("l2", [1e-1, 1e-3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-5), (torch.float32, 5e-3)])
def test_it_is_scikit_learn_s_logistic_regression(digits, l2, dtype, tolerance):
    features, labels, queries, truth = digits
    scaler = StandardScaler().fit(features.numpy())
    peer = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-8, max_iter=2000)
    peer.fit(scaler.transform(features.numpy()), labels.numpy())

    probe = fit_probe(features.to(dtype), labels, 10, l2)
    np.testing.assert_allclose(probe.weight.numpy(), peer.coef_, atol=tolerance)
    asked = scaler.transform(queries.numpy())
    probabilities = probe.logits(queries).softmax(1).numpy()
    np.testing.assert_allclose(probabilities, peer.predict_proba(asked), atol=tolerance)

    found = linear_probe(features.to(dtype), labels, queries.to(dtype), 10, l2)
    assert found.dtype == torch.int64
    expected = torch.from_numpy(peer.predict(asked))
    assert (found == truth).sum() == (expected == truth).sum()
    assert (found == truth).float().mean() > 0.8


def test_scale_and_shift_of_features_do_not_matter(digits):
    features, labels, queries, _ = digits
    stretched = [each * torch.linspace(1e-3, 1e3, 64) + 50 for each in (features, queries)]
    assert torch.equal(
        linear_probe(stretched[0], labels, stretched[1], 10, l2=0.1),
        linear_probe(features, labels, queries, 10, l2=0.1),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_feature_is_of_no_use_and_does_no_harm(digits, dtype):
    features, labels, queries, _ = (each.to(dtype) if each.is_floating_point() else each for each in digits)
    constant = [torch.cat([each, each.new_full((len(each), 1), 0.1)], 1) for each in (features, queries)]
    probe = fit_probe(constant[0], labels, 10, l2=0.1)
    assert probe.scale[-1] == 1
    assert (probe.weight[:, -1] == 0).all()
    expected = linear_probe(features, labels, queries, 10, l2=0.1)
    assert torch.equal(linear_probe(constant[0], labels, constant[1], 10, l2=0.1), expected)


def test_features_without_any_information_give_the_commonest_class():
    labels = torch.tensor([0, 1, 1, 2])
    assert linear_probe(torch.ones(4, 3), labels, torch.ones(2, 3), 4).tolist() == [1, 1]
    probabilities = fit_probe(torch.ones(4, 3).double(), labels, 3).logits(torch.ones(1, 3)).softmax(1)
    torch.testing.assert_close(probabilities, torch.tensor([[0.25, 0.5, 0.25]]).double())
