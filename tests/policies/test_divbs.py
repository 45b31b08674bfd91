"""DivBS against Gram-Schmidt on explicit vectors, and the law of its draws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from cases import loss_of

from emprune import ArgumentError, IdBatches, Pruner
from emprune.policies.base import BatchRequest
from emprune.policies.divbs import DivBS
from emprune.scoring.gradients import gradient_products


def _choose(vectors: np.ndarray, k: int, draw: str = "greedy", seed: int = 0, loss: list[float] | None = None) -> list:
    losses = torch.ones(len(vectors)) if loss is None else torch.tensor(loss)
    products = torch.from_numpy(vectors @ vectors.T).float()
    request = BatchRequest({"loss": losses, "gradient_products": products}, k, np.random.default_rng(seed))
    chosen = DivBS(draw=draw).select_within_batch(request)
    assert chosen.weights is None
    assert chosen.positions is not None
    assert chosen.positions.dtype == torch.int64
    return chosen.positions.tolist()


def _correlations(vectors: np.ndarray, before: list[int]) -> np.ndarray:
    """|g_i·r| once ``before`` are chosen, by projecting the mean vector off an orthonormal basis of them."""
    rest = vectors.mean(axis=0)
    basis: list[np.ndarray] = []
    for i in before:
        direction = vectors[i].copy()
        for e in basis:
            direction -= (e @ vectors[i]) * e
        basis.append(direction / np.sqrt(direction @ direction))
        rest = rest - (basis[-1] @ rest) * basis[-1]
    return np.abs(vectors @ rest)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_greedy_is_gram_schmidt_step_by_step(seed: int, scale: float) -> None:
    vectors = np.random.default_rng(seed).normal(size=(16, 40)) * scale
    chosen = _choose(vectors, 10)
    for step, i in enumerate(chosen):
        correlations = _correlations(vectors, chosen[:step])
        correlations[chosen[:step]] = -1
        assert i == int(correlations.argmax())


def test_a_copy_of_a_chosen_sample_is_not_taken() -> None:
    vectors = np.array([[5.0, 0, 0], [5, 0, 0], [0, 1, 0], [0, 0, 0.5]])
    assert _choose(vectors, 3) in ([0, 2, 3], [1, 2, 3])


def test_draws_follow_the_correlations_of_each_step() -> None:
    vectors = np.random.default_rng(3).normal(size=(6, 9))
    vectors[0] += 2
    runs = 6000
    counts = np.zeros((6, 6))
    for seed in range(runs):
        first, second = _choose(vectors, 2, "sample", seed)
        counts[first, second] += 1
    first = _correlations(vectors, []) / _correlations(vectors, []).sum()
    assert first.max() > 2 * first.min()
    for i in range(6):
        second = _correlations(vectors, [i])
        second[i] = 0
        second /= second.sum()
        for j in range(6):
            p = first[i] * second[j]
            assert abs(counts[i, j] / runs - p) < 4.5 * np.sqrt(p * (1 - p) / runs) + 1e-4


@pytest.mark.parametrize("draw", ["sample", "greedy"])
def test_every_k_gives_k_distinct_samples_whatever_the_gradients(draw: str) -> None:
    rng = np.random.default_rng(5)
    low_rank = rng.normal(size=(12, 2)) @ rng.normal(size=(2, 30))
    for vectors in (rng.normal(size=(12, 30)), low_rank, np.ones((12, 3)), np.zeros((12, 3)), 1e-18 * low_rank):
        for k in range(13):
            assert len(set(_choose(vectors, k, draw))) == k


def test_once_the_mean_is_spanned_the_rest_is_uniform() -> None:
    vectors = np.zeros((10, 4))
    vectors[0, 0] = 3.0  # all of the mean gradient
    counts = np.zeros(10)
    for seed in range(3000):
        chosen = _choose(vectors, 4, "sample", seed)
        assert chosen[0] == 0
        counts[chosen[1:]] += 1
    assert np.abs(counts[1:] / 3000 - 3 / 9).max() < 4.5 * np.sqrt(2 / 9 / 3000)


def test_samples_that_are_not_finite_count_for_nothing_and_come_last() -> None:
    vectors = np.random.default_rng(7).normal(size=(8, 20))
    loss = [1.0, np.nan, 1.0, 1.0, np.inf, 1.0, 1.0, 1.0]
    sound = [0, 2, 3, 5, 6, 7]
    expected = [sound[i] for i in _choose(vectors[sound], 6)]
    vectors[1], vectors[4] = np.nan, 1e30
    chosen = _choose(vectors, 8, loss=loss)
    assert chosen[:6] == expected
    assert set(chosen[6:]) == {1, 4}
    assert set(_choose(vectors, 6, "sample", loss=loss)) == set(sound)
    assert len(set(_choose(vectors, 5, loss=[np.nan] * 8))) == 5


def test_through_a_pruner_with_a_model() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 3)
    inputs, labels = torch.randn(30, 6), torch.randint(0, 3, (30,))
    runs = []
    for _ in range(2):
        pruner = Pruner(30, DivBS(), prune_rate=0.6, num_epochs=3)
        for epoch in pruner.epochs():
            for ids in IdBatches(pruner, 8):
                products = gradient_products(layer(inputs[ids]), labels[ids], inputs[ids])
                pruner.loss(ids, loss_of(ids, epoch), gradient_products=products)
        assert pruner.table.times_trained.sum() == 36
        runs.append(pruner.table.times_trained.tolist())
    assert runs[0] == runs[1]


def test_no_value_is_read_back_from_the_device() -> None:
    loss, products = torch.empty(8, device="meta"), torch.empty(8, 8, device="meta")  # reading one raises
    request = BatchRequest({"loss": loss, "gradient_products": products}, 3, np.random.default_rng(0))
    chosen = DivBS().select_within_batch(request)
    assert chosen.positions is not None
    assert (chosen.positions.device.type, chosen.positions.shape) == ("meta", (3,))


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ArgumentError, match="draw is 'best'; allowed: 'sample' or 'greedy'"):
        DivBS(draw="best")
    pruner = Pruner(8, DivBS(), prune_rate=0.5, num_epochs=1)
    with pytest.raises(ArgumentError, match=r"gradient_products is 'of shape \(8, 3\)'.*\[8, 8\].*gradient_products"):
        pruner.loss(torch.arange(8), torch.ones(8), gradient_products=torch.ones(8, 3))


def test_few_of_a_batch_span_more_of_its_mean_gradient_than_random_ones() -> None:
    rng = np.random.default_rng(11)
    vectors = rng.normal(size=(64, 30)) @ np.diag(0.7 ** np.arange(30)) + 0.3
    mean = vectors.mean(axis=0)

    def left(chosen: list[int]) -> float:
        basis = np.linalg.qr(vectors[chosen].T)[0]
        return float(np.linalg.norm(mean - basis @ (basis.T @ mean)))

    greedy = left(_choose(vectors, 6))
    sampled = np.mean([left(_choose(vectors, 6, "sample", seed)) for seed in range(40)])
    uniform = np.mean([left(rng.choice(64, 6, replace=False).tolist()) for _ in range(40)])
    assert all(a < b for a, b in pairwise([greedy, sampled, uniform]))


def test_more_than_the_features_span_are_chosen_once_each() -> None:
    """Of 64 samples in 8 dimensions 19: what is left after 8 is rounding, which must not grow."""
    for seed in range(60):
        features = torch.randn(64, 8, generator=torch.Generator().manual_seed(seed))
        inputs = {"loss": torch.ones(64), "gradient_products": features @ features.T}
        chosen = DivBS().select_within_batch(BatchRequest(inputs, 19, np.random.default_rng(seed)))
        assert len(set(chosen.positions.tolist())) == 19
