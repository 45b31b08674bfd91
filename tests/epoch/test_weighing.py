"""Samples that are weighed, and class quotas: the law of selection by counts, exact k, state, ranks and errors."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of
from scipy.stats import chi2_contingency, chisquare
from thread_world import on_all_ranks
from torch.utils.data import WeightedRandomSampler

from emprune import EMP, LFL, ArgumentError, AutoRate, IdBatches, Policy, Pruner, Quotas, Request, Selection, StateError
from emprune.epoch.weighing import relative_weights
from emprune.policies import REGISTRY
from emprune.policies.even_counts import chances
from emprune.policies.registry import as_policy
from emprune.selection.inclusion import inclusion, log_rate
from emprune.table import ScoreTable

LEAST_P = 1e-4  # seeds are fixed, so the tests cannot flicker
WEIGHTS = np.array([1, 2, 0, 4, 8], dtype=np.float64)
N = 120
LABELS = np.repeat([0, 1, 2], [80, 30, 10])


def successive(weights: np.ndarray, k: int) -> dict[tuple[int, ...], float]:
    """The probability of each subset when k are drawn one by one, in proportion to the weights of what is left."""
    law: dict[tuple[int, ...], float] = Counter()
    for sequence in permutations(np.flatnonzero(weights), k):
        probability, left = 1.0, weights.sum()
        for i in sequence:
            probability *= weights[i] / left
            left -= weights[i]
        law[tuple(sorted(int(i) for i in sequence))] += probability
    return law


def drawn(policy: Any, seeds: int, k: int, observed: np.ndarray | None = None, **options: Any) -> Counter:
    """How often each subset is selected of five samples, over seeds; losses as observed in an epoch before."""
    counts: Counter = Counter()
    weights, quotas = options.get("sample_weight"), options.get("quotas")
    table = ScoreTable(5, sample_weight=None if weights is None else relative_weights(weights, 5))
    if observed is not None:
        table.record(np.arange(5), observed.astype(np.float32), np.zeros(5, np.float32), 0, np.ones(5, bool))
    for seed in range(seeds):
        selected = as_policy(policy).select(Request(table, k, 1, 2, seed, quotas))
        counts[tuple(sorted(selected.ids.tolist()))] += 1
    return counts


def assert_law(counts: Counter, law: dict[tuple[int, ...], float]) -> None:
    assert set(counts) <= set(law)
    total = sum(counts.values())
    assert chisquare([counts[key] for key in law], [total * p for p in law.values()]).pvalue > LEAST_P


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("policy", ["random", "static-random", "lfl", "emp"])  # nothing is known before the first epoch
def test_plans_are_drawn_by_weight_alone_where_no_score_is_known(policy: str, k: int) -> None:
    assert_law(drawn(policy, 1500, k, sample_weight=WEIGHTS), successive(WEIGHTS, k))


def test_the_law_is_that_of_torchs_sampler_without_replacement() -> None:
    ours = drawn("random", 3000, 2, sample_weight=WEIGHTS)
    theirs: Counter = Counter()
    generator = torch.Generator().manual_seed(0)
    for _ in range(3000):
        sampler = WeightedRandomSampler(WEIGHTS.tolist(), 2, replacement=False, generator=generator)
        theirs[tuple(sorted(sampler))] += 1
    assert set(ours) == set(theirs)
    both = [[counts[key] for key in ours] for counts in (ours, theirs)]
    assert chi2_contingency(both).pvalue > LEAST_P


def test_with_replacement_torchs_sampler_repeats_what_weighs_much() -> None:
    """At a low rate of drawing both include a sample equally often; what is drawn often there is trained once here."""
    weights = np.r_[np.ones(190), np.full(10, 30.0)]
    for k, apart in ((5, False), (60, True)):
        expected_with = k * weights / weights.sum()  # how often torch's sampler yields a sample on average
        included = inclusion(np.log(weights) + log_rate(weights.astype(np.float32), k, np.random.default_rng(0)))
        assert included.sum() == pytest.approx(k, rel=1e-3)
        pruner = Pruner(200, "random", prune_rate=1 - k / 200, num_epochs=400, sample_weight=weights)
        counts = np.zeros(200)
        while pruner.epoch < 400:
            counts[pruner.plan.ids] += 1
            pruner.loss(torch.from_numpy(pruner.plan.ids.copy()), torch.ones(k))
            pruner.end_epoch()
        heavy = counts[190:].mean() / 400
        assert heavy == pytest.approx(included[190:].mean(), abs=0.02)
        assert (expected_with[190] > 1) == apart
        assert counts.max() <= 400
        assert abs(heavy - expected_with[190]) > 0.2 if apart else abs(heavy - expected_with[190]) < 0.05


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_weights_multiply_what_a_score_gives(gamma: float) -> None:
    losses = np.array([0.5, 1.0, 2.0, 0.25, 1.0])
    counts = drawn(EMP(beta=0, gamma=gamma), 1500, 2, losses, sample_weight=WEIGHTS)
    assert_law(counts, successive(WEIGHTS * losses**gamma, 2))


def test_top_ranks_by_weight_times_score() -> None:
    losses = np.array([9.0, 4.0, 100.0, 3.0, 1.0])  # times 1, 2, 0, 4, 8: 9, 8, 0, 12, 8
    assert set(drawn(LFL(), 3, 2, losses, sample_weight=WEIGHTS)) == {(0, 3)}
    assert set(drawn(EMP(beta=0, rule="top"), 3, 1, losses, sample_weight=WEIGHTS)) == {(3,)}


def test_of_scores_of_zero_those_of_more_weight_are_likelier() -> None:
    counts = drawn(EMP(beta=0), 1500, 2, np.array([0.0, 0, 0, 0, 3]), sample_weight=WEIGHTS)
    law = {(i, 4): weight / 7 for i, weight in ((0, 1), (1, 2), (3, 4))}
    assert_law(counts, law)


def test_quarantined_samples_come_before_those_of_weight_0() -> None:
    table = ScoreTable(4, sample_weight=np.array([0, 1, 0.5, 0], dtype=np.float32))
    for rule in ("top", "sample"):
        request = Request(table, 2, 0, 1, 0)
        chosen = getattr(request, rule)(np.array([np.inf, np.nan, 1, np.inf], dtype=np.float32))
        assert sorted(chosen.ids.tolist()) == [1, 2]


def test_the_rate_of_inclusion_counts_weights() -> None:
    weights = np.r_[np.zeros(40), np.geomspace(0.01, 1, 80)].astype(np.float32)
    scores = np.tile(np.array([0.5, 1, 4], dtype=np.float32), 40)
    with np.errstate(divide="ignore"):
        logs = np.log(weights)
    expected = inclusion(log_rate(scores, 30, np.random.default_rng(0), log_weights=logs) + np.log(scores) + logs)
    assert expected.sum() == pytest.approx(30, rel=1e-3)
    table = ScoreTable(N, sample_weight=weights)
    counts = np.zeros(N)
    for seed in range(3000):
        counts[Request(table, 30, 0, 1, seed).sample(scores).ids] += 1
    error = np.sqrt(expected * (1 - expected) / 3000)
    assert (np.abs(counts / 3000 - expected) < 4.5 * error + 0.01).all()
    assert counts[:40].sum() == 0


def test_chances_of_even_counts_count_weights() -> None:
    """What the default policy adds up; a sample of weight 0 has none, and it would be the last one taken."""
    weights = np.r_[np.zeros(20), np.geomspace(0.05, 1, 100)].astype(np.float32)
    scores = np.tile(np.array([0.5, 1, 4], dtype=np.float32), 40)
    request = Request(ScoreTable(N, sample_weight=weights), 12, 0, 1, 0)
    found, rates = chances(request, scores, 2.0, 12), weights * scores.astype(float) ** 2
    assert found.sum() == pytest.approx(12, rel=1e-4)
    assert not found[:20].any()
    small = found < 0.05
    np.testing.assert_allclose(found[small] / found[small].sum(), rates[small] / rates[small].sum(), rtol=0.06)


def train(pruner: Pruner, epochs: int) -> Pruner:
    while pruner.epoch < epochs:
        for ids in IdBatches(pruner, 12 // pruner.world.size):
            pruner.loss(ids, loss_of(ids, pruner.epoch), memory_of(ids, pruner.epoch))
        pruner.end_epoch()
    return pruner


HONOURED = [(name, kind.honours) for name, kind in REGISTRY.items() if kind.honours]


def asked(which: str, **of: Any) -> dict[str, Any]:
    weights = np.random.default_rng(1).gamma(0.3, size=N) * (np.arange(N) % 7 > 0)
    both = {"sample_weight": weights, "quotas": Quotas(LABELS, **of)}
    return both if which == "both" else {which: both[which]}


@pytest.mark.parametrize("which", ["sample_weight", "quotas", "both"])
@pytest.mark.parametrize("name", [name for name, _ in HONOURED])
def test_every_epoch_keeps_exactly_k_killed_and_resumed_and_on_ranks(name: str, which: str) -> None:
    if name == "rs2" and which != "quotas":
        return

    def build(**more: Any) -> Pruner:
        return Pruner(N, name, prune_rate=0.8, num_epochs=4, seed=3, **asked(which), **more)

    whole = train(build(), 4)
    counts = whole.table.times_trained
    assert counts.sum() == 4 * 24
    begun = train(build(), 2)
    first = next(iter(IdBatches(begun, 12)))
    begun.loss(first, loss_of(first, 2), memory_of(first, 2))
    resumed = build()
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    assert (train(resumed, 4).table.times_trained == counts).all()
    for pruner in on_all_ranks(lambda world: train(build(world=world), 4)):
        assert (pruner.table.times_trained == counts).all()
    if which != "sample_weight":
        assert np.bincount(LABELS, counts).tolist() == [32, 32, 32]  # of 24 an epoch 8, 8 and 8
    else:
        assert not counts[::7].any()
        pruners = on_all_ranks(lambda world: train(build(world=world, partition_batch_size=4), 4))
        assert (np.concatenate([one.table.times_trained for one in pruners]) == counts).all()


def test_quotas_are_whole_and_right_on_average() -> None:
    quotas = Quotas(LABELS, {0: 2, 1: 1, 2: 0.5})
    rng = np.random.default_rng(0)
    found = np.array([quotas.counts(11, quotas.sizes, rng) for _ in range(4000)])
    assert (found.sum(axis=1) == 11).all()
    expected = 11 * np.array([2, 1, 0.5]) / 3.5
    assert ((found == np.floor(expected)) | (found == np.ceil(expected))).all()
    assert found.mean(axis=0) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("k", range(1, 121, 7))
def test_a_class_that_is_too_small_gives_all_and_the_others_the_rest(k: int) -> None:
    expected = Quotas(LABELS).expected(k, np.array([80, 30, 10]))
    level = next(level for level in np.linspace(0, 80, 80001) if np.minimum([80, 30, 10], level).sum() >= k - 1e-9)
    assert expected == pytest.approx(np.minimum([80, 30, 10], level), abs=0.01)
    assert expected.sum() == pytest.approx(k)


def test_within_a_class_every_subset_is_as_likely_as_without_quotas() -> None:
    quotas = Quotas(["b", "a", "a", "a", "b"], {"a": 2, "b": 1})
    counts = drawn("random", 2000, 3, quotas=quotas)
    law = {tuple(sorted((*pair, b))): 1 / 6 for pair in combinations((1, 2, 3), 2) for b in (0, 4)}
    assert_law(counts, law)
    weighted = drawn("random", 2000, 3, quotas=quotas, sample_weight=[1, 1, 1, 2, 3])
    of_a = successive(np.array([0, 1, 1, 2, 0.0]), 2)
    assert_law(weighted, {tuple(sorted((*a, b))): p * w for a, p in of_a.items() for b, w in ((0, 0.25), (4, 0.75))})


def test_proportional_quotas_are_strata() -> None:
    pruner = Pruner(N, "random", prune_rate=0.9, num_epochs=1, quotas=Quotas(torch.from_numpy(LABELS), "proportional"))
    assert np.bincount(LABELS[pruner.plan.ids]).tolist() == [8, 3, 1]


def test_a_full_epoch_trains_all_whatever_the_quotas() -> None:
    pruner = Pruner(N, "random", prune_rate=0.5, num_epochs=2, warmup_epochs=1, quotas=Quotas(LABELS))
    assert len(pruner.plan) == N


def test_a_run_that_is_weighed_otherwise_is_another_run() -> None:
    def build(**options: Any) -> Pruner:
        return Pruner(N, "random", prune_rate=0.5, num_epochs=2, **options)

    state = build(sample_weight=np.arange(1, N + 1)).state_dict()
    build(sample_weight=torch.arange(1, N + 1) * 3).load_state_dict(state)  # ratios matter alone
    for other in ({}, {"sample_weight": np.ones(N)}):
        with pytest.raises(StateError, match="sample_weight"):
            build(**other).load_state_dict(state)
    build(sample_weight=np.ones(N)).load_state_dict(state, allow={"sample_weight"})
    with pytest.raises(StateError, match="quotas"):
        build(quotas=Quotas(LABELS)).load_state_dict(build(quotas=Quotas(LABELS, "proportional")).state_dict())
    plain = build()
    plain.load_state_dict(build().state_dict())
    assert "sample_weight" not in plain.fingerprint


def test_a_run_may_be_weighed_otherwise_from_the_next_epoch_on() -> None:
    begun = train(Pruner(N, "random", prune_rate=0.5, num_epochs=3, sample_weight=np.ones(N)), 1)
    first = next(iter(IdBatches(begun, 12)))
    begun.loss(first, loss_of(first, 1), memory_of(first, 1))
    planned = begun.plan.ids.tolist()
    weights = np.where(np.isin(np.arange(N), planned), 0, 1)
    changed = Pruner(
        N, "random", prune_rate=0.5, num_epochs=3, sample_weight=weights, quotas=Quotas(np.arange(N) // 120)
    )
    changed.load_state_dict(begun.state_dict(), allow={"sample_weight", "quotas"})
    assert sorted(changed.plan.ids.tolist()) == sorted(planned)
    train(changed, 2)
    assert not set(changed.plan.ids.tolist()) & set(planned)


def test_ranks_that_weigh_otherwise_are_told_so() -> None:
    found = on_all_ranks(
        lambda world: Pruner(
            N, "random", prune_rate=0.5, num_epochs=1, world=world, sample_weight=np.arange(1, N + 1) ** world.rank
        )
    )
    assert all("ranks disagree on sample_weight" in str(error) for error in found)


@pytest.mark.parametrize("name", [name for name, kind in REGISTRY.items() if not kind.honours and name[:6] != "static"])
def test_policies_that_would_ignore_it_refuse_it(name: str) -> None:
    for option, value in (("sample_weight", np.ones(N)), ("quotas", Quotas(LABELS))):
        with pytest.raises(ArgumentError, match=rf"{option} is 'given'.*{name}.*Policies that take {option}: .*random"):
            Pruner(N, name, prune_rate=0.5, num_epochs=1, **{option: value})
    with pytest.raises(ArgumentError, match="undo yours"):
        Pruner(N, EMP(rule="threshold"), prune_rate=0.5, num_epochs=1, sample_weight=np.ones(N))


class Own(Policy):
    name = "own"

    def select(self, request: Request) -> Selection:
        return request.threshold(request.table.loss)


class OwnThatSaysSo(Own):
    honours = ("sample_weight",)


def test_a_policy_of_ones_own_says_what_it_honours() -> None:
    with pytest.raises(ArgumentError, match=r"honours = \('sample_weight',\)"):
        Pruner(N, Own(), prune_rate=0.5, num_epochs=1, sample_weight=np.ones(N))
    with pytest.raises(ArgumentError, match="makes up for its choice"):
        _ = Pruner(N, OwnThatSaysSo(), prune_rate=0.5, num_epochs=1, sample_weight=np.ones(N)).plan


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_weight": np.ones(5)}, r"shape \(5,\).*one number a sample, shape \[120\]"),
        ({"sample_weight": ["a"] * N}, "one number a sample"),
        ({"sample_weight": np.full(N, -1.0)}, "-1 for sample 0"),
        ({"sample_weight": np.r_[np.ones(N - 1), np.nan]}, "nan for sample 119"),
        ({"sample_weight": np.zeros(N)}, "0 for every sample"),
        ({"sample_weight": np.arange(N) < 30}, "above 0 for 30 samples'; .*at least 60"),
        ({"sample_weight": np.arange(N) > 0, "warmup_epochs": 1}, "at least 120"),
        ({"sample_weight": np.arange(N) > 0, "prune_rate": AutoRate(lowest=0)}, "at least 120"),
        ({"quotas": LABELS}, r"emprune.Quotas\(labels\)"),
        ({"quotas": Quotas([0, 1])}, "of 2 labels"),
        ({"quotas": Quotas(LABELS, {0: 0, 1: 1, 2: 1})}, "40 samples to give.* at least 60"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Pruner(N, "emp", **{"prune_rate": 0.5, "num_epochs": 2, **options})


@pytest.mark.parametrize(
    ("labels", "shares", "words"),
    [
        (np.zeros((3, 2)), "equal", "one class a sample"),
        ([], "equal", "one class a sample"),
        (["a", "b"], "eqal", "Did you mean 'equal'"),
        (["a", "b"], {"a": 1}, "without 'b'"),
        (["a", "b"], {"a": 1, "b": 1, "c": 1}, "with 'c'"),
        (["a", "b"], {"a": 1, "b": -1}, "at least 0"),
        (["a", "b"], {"a": 0, "b": 0}, "one of them above 0"),
    ],
)  # fmt: skip
def test_errors_of_quotas(labels: Any, shares: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Quotas(labels, shares)


def test_quotas_do_not_go_with_a_partition() -> None:
    def task(world: Any) -> Pruner:
        return Pruner(N, prune_rate=0.5, policy="emp", num_epochs=1, world=world, quotas=Quotas(LABELS),
                      partition_batch_size=4)  # fmt: skip

    assert all("Leave partition_batch_size out" in str(error) for error in on_all_ranks(task))


@pytest.mark.parametrize("shares", ["equal", {"a": 1, "b": 0}])
@pytest.mark.parametrize("name", ["emp", "emp-gated"])
def test_quotas_are_met_where_samples_are_kept_back_or_quarantined(name: str, shares: Any) -> None:
    labels = np.repeat(["a", "b"], 200)
    for rate, broken in ((0.5, False), (0.7, True)):
        pruner = Pruner(
            400, name, prune_rate=rate, num_epochs=6, quotas=Quotas(labels, shares), on_nonfinite="quarantine"
        )
        for _ in pruner.epochs():
            ids = torch.from_numpy(pruner.plan.ids.copy())
            given = np.bincount(labels[ids] == "b", minlength=2)
            assert given.tolist() == ([len(ids), 0] if shares != "equal" else [len(ids) // 2] * 2)
            loss = 1 + (ids % 5).float()
            pruner.loss(ids, torch.where((ids % 2 == 0) & broken, torch.nan, loss), loss / 3)
