"""Label noise and long-tailed training sets."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emprune.errors import ArgumentError
from emprune_lab import data as lab_data
from emprune_lab.data.images import ImageData
from emprune_lab.data.labelled import long_tail_counts

NUM_CLASSES = 5


@pytest.fixture
def balanced():
    """500 samples of 5 classes in a mixed order, sample i with the number i in its pixels."""
    labels = torch.arange(500) * 7 % NUM_CLASSES
    pixels = torch.stack([torch.arange(500) // 256, torch.arange(500) % 256], 1).to(torch.uint8)
    names = tuple("abcde")
    return ImageData("numbers", pixels[:, :, None, None], labels, labels, pixels[:9, :, None, None], labels[:9], names)


def ids_of(data):
    return (data.images[:, 0, 0, 0].int() * 256 + data.images[:, 1, 0, 0]).tolist()


@pytest.mark.parametrize(
    ("size", "num_classes", "factor", "total"),
    [(5000, 10, 10, 20_431), (5000, 10, 100, 12_406), (500, 100, 10, 19_573), (500, 100, 100, 10_847)],
)
def test_totals_of_the_long_tailed_cifar_sets(size, num_classes, factor, total):
    counts = long_tail_counts([size] * num_classes, factor)
    assert (sum(counts), counts[0], counts[-1]) == (total, size, size // factor)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.floats(1, 1e6))
def test_counts_stay_within_what_there_is(counts, factor):
    kept = long_tail_counts(counts, factor)
    assert all(min(1, count) <= some <= count for count, some in zip(counts, kept, strict=True))
    assert long_tail_counts(counts, 1) == counts


def test_classes_shrink_by_the_profile_and_nothing_else_changes(balanced):
    tail = lab_data.with_imbalance(balanced, 16, seed=1)
    assert tail.labels.bincount().tolist() == [100, 50, 25, 12, 6]
    ids = ids_of(tail)
    assert ids == sorted(set(ids))
    assert torch.equal(tail.labels, balanced.labels[ids])
    assert torch.equal(tail.true_labels, tail.labels)
    assert tail.test_images is balanced.test_images
    assert tail.test_labels is balanced.test_labels


def test_factor_one_changes_nothing(balanced):
    assert ids_of(lab_data.with_imbalance(balanced, 1, seed=1)) == list(range(500))


def test_the_seed_draws_and_a_larger_factor_draws_among_the_same(balanced):
    draws = {seed: ids_of(lab_data.with_imbalance(balanced, 10, seed)) for seed in (1, 2)}
    assert draws[1] == ids_of(lab_data.with_imbalance(balanced, 10, 1))
    assert draws[1] != draws[2]
    assert set(ids_of(lab_data.with_imbalance(balanced, 50, 1))) < set(draws[1])


def test_label_noise_comes_after(balanced):
    tail = lab_data.with_imbalance(balanced, 16, seed=1)
    noisy = lab_data.with_label_noise(tail, 0.5, seed=1)
    assert ids_of(noisy) == ids_of(tail)
    assert int((noisy.labels != noisy.true_labels).sum()) == round(0.5 * len(tail))


@pytest.mark.parametrize("factor", [0.5, 0, -1, float("inf"), float("nan")])
def test_bad_factor(balanced, factor):
    with pytest.raises(ArgumentError, match=r"imbalance is .*at least 1"):
        lab_data.with_imbalance(balanced, factor, seed=0)


def test_label_noise_flips_the_exact_number_to_other_classes():
    data = lab_data.load("digits")
    noisy = lab_data.with_label_noise(data, 0.2, seed=3)
    assert int((noisy.labels != data.labels).sum()) == round(0.2 * len(data))
    assert torch.equal(noisy.true_labels, data.labels)
    assert noisy.labels.min() >= 0
    assert noisy.labels.max() <= 9
    assert not torch.equal(noisy.labels, lab_data.with_label_noise(data, 0.2, seed=4).labels)
    # Published results rest on these very draws.
    assert (noisy.labels != data.labels).nonzero().flatten()[:6].tolist() == [16, 17, 23, 32, 39, 55]
    assert noisy.labels[noisy.labels != data.labels][:6].tolist() == [1, 5, 3, 7, 0, 3]
    with pytest.raises(ArgumentError, match=r"label_noise is 1\.5"):
        lab_data.with_label_noise(data, 1.5, seed=0)
