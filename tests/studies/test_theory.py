"""The decomposition of the training loss, counted through on worlds of a few sources, data sets and weights."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies.memorization.theory import (
    DATA,
    SOURCE,
    WEIGHTS,
    cross_entropy,
    decompose,
    entropy,
    information,
    misfit,
)

from emprune.errors import ArgumentError

SIZES = st.tuples(*[st.integers(1, 4)] * 3)


def make_world(sizes, seed, sparse):
    """Any joint distribution, of cells as unlike as 1 and 1e-6, some of them zero."""
    rng = np.random.default_rng(seed)
    world = rng.random(sizes) ** rng.integers(1, 7)
    if sparse:
        world *= rng.random(sizes) < 0.6
    world.flat[rng.integers(world.size)] += 0.1
    return world / world.sum()


def make_chain(sizes, seed):
    """θ → D → w: the training looks at the data alone."""
    rng = np.random.default_rng(seed)
    source = rng.dirichlet(np.ones(sizes[0]))
    data = rng.dirichlet(np.ones(sizes[1]), sizes[0])
    weights = rng.dirichlet(np.ones(sizes[2]), sizes[1])
    return source[:, None, None] * data[:, :, None] * weights[None]


def make_likelihood(sizes, seed):
    return np.random.default_rng(seed).dirichlet(np.full(sizes[1], 0.7), sizes[2]).T + 0.0


worlds = st.builds(make_world, SIZES, st.integers(0, 2**32), st.booleans())
cases = st.builds(
    lambda sizes, seed, sparse: (make_world(sizes, seed, sparse), make_likelihood(sizes, seed + 1)),
    SIZES, st.integers(0, 2**32), st.booleans(),
)  # fmt: skip


def cells(world):
    """(probability, θ, D, w) of all that can happen."""
    for place in itertools.product(*map(range, world.shape)):
        if world[place] > 0:
            yield world[place], *place


def probability(world, **fixed):
    """p of the cells in which the named variables have these values, one by one."""
    names = ("t", "d", "w")
    return sum(
        p for p, *place in cells(world) if all(place[names.index(name)] == value for name, value in fixed.items())
    )


def naive_terms(world, q):
    """Every term by its definition, as a sum over what can happen."""
    terms = dict.fromkeys(["cross_entropy", "intrinsic_error", "insufficiency", "misfit", "memorised"], 0.0)
    for p, t, d, w in cells(world):
        of_t, of_w = probability(world, t=t), probability(world, w=w)
        d_and_w, t_and_d, t_and_w = (
            probability(world, d=d, w=w),
            probability(world, t=t, d=d),
            probability(world, t=t, w=w),
        )
        terms["cross_entropy"] += -p * math.log(q[d, w])
        terms["intrinsic_error"] += -p * math.log(t_and_d / of_t)
        terms["insufficiency"] += p * math.log((p / of_w) / ((t_and_w / of_w) * (d_and_w / of_w)))
        terms["misfit"] += p * math.log((d_and_w / of_w) / q[d, w])
        terms["memorised"] += p * math.log((p / of_t) / ((t_and_d / of_t) * (t_and_w / of_t)))
    return terms


@given(cases)
def test_identity_holds_for_any_joint_distribution(case):
    parts = decompose(*case)
    assert parts.total == pytest.approx(parts.cross_entropy, abs=1e-10)
    assert min(parts.intrinsic_error, parts.insufficiency, parts.misfit, parts.memorised) > -1e-10


@given(cases)
def test_each_term_equals_its_definition(case):
    parts = decompose(*case)
    for name, expected in naive_terms(*case).items():
        assert getattr(parts, name) == pytest.approx(expected, abs=1e-10), name


@pytest.mark.parametrize("dropped", ["intrinsic_error", "insufficiency", "misfit", "memorised"])
def test_identity_fails_without_any_of_its_terms(dropped):
    parts = decompose(make_chain((3, 4, 3), seed=0), make_likelihood((3, 4, 3), seed=1))
    sign = -1 if dropped == "memorised" else 1
    assert abs(parts.total - sign * getattr(parts, dropped) - parts.cross_entropy) > 0.01


@given(SIZES, st.integers(0, 2**32))
def test_what_the_markov_chain_adds(sizes, seed):
    """Training that sees only D: memorised is I(D; w) less what of it is about θ, insufficiency what w lost of θ."""
    parts, world = decompose(make_chain(sizes, seed), make_likelihood(sizes, seed)), make_chain(sizes, seed)
    about_source = information(world, (SOURCE,), (WEIGHTS,))
    assert parts.memorised == pytest.approx(information(world, (DATA,), (WEIGHTS,)) - about_source, abs=1e-10)
    assert parts.insufficiency == pytest.approx(information(world, (SOURCE,), (DATA,)) - about_source, abs=1e-10)


def test_a_world_without_the_chain_has_the_identity_but_not_what_the_chain_adds():
    world = make_world((3, 3, 3), seed=5, sparse=False)
    parts = decompose(world, make_likelihood((3, 3, 3), seed=6))
    assert parts.total == pytest.approx(parts.cross_entropy, abs=1e-10)
    chain_only = information(world, (DATA,), (WEIGHTS,)) - information(world, (SOURCE,), (WEIGHTS,))
    assert abs(parts.memorised - chain_only) > 0.01


@given(worlds)
def test_the_true_conditional_has_no_misfit_and_the_least_loss(world):
    together = world.sum(axis=0)
    columns = together.sum(axis=0)
    best = np.where(columns > 0, together / np.where(columns > 0, columns, 1), 1 / len(together))
    assert misfit(world, best) == pytest.approx(0, abs=1e-10)
    assert cross_entropy(world, best) == pytest.approx(entropy(world, (DATA,), given=(WEIGHTS,)), abs=1e-10)


def test_weights_that_copy_the_data_memorise_all_that_the_source_leaves_open():
    world = np.zeros((1, 4, 4))
    world[0] = np.eye(4) / 4
    parts = decompose(world, np.eye(4))
    assert (parts.cross_entropy, parts.misfit) == (0, 0)
    assert parts.memorised == pytest.approx(parts.intrinsic_error) == pytest.approx(math.log(4))


def test_a_likelihood_of_zero_makes_both_sides_infinite():
    parts = decompose(np.full((1, 2, 1), 0.5), np.array([[1.0], [0.0]]))
    assert parts.cross_entropy == parts.total == math.inf


@pytest.mark.parametrize(
    ("world", "likelihood", "name"),
    [
        (np.full((2, 2), 0.25), np.full((2, 2), 0.5), "world"),
        (np.full((1, 2, 2), 0.3), np.full((2, 2), 0.5), "world"),
        (np.array([[[1.5], [-0.5]]]), np.full((2, 1), 0.5), "world"),
        (np.full((1, 2, 2), 0.25), np.full((2, 3), 0.5), "likelihood"),
        (np.full((1, 2, 2), 0.25), np.full((2, 2), 0.4), "likelihood"),
    ],
)
def test_what_is_no_distribution_is_named(world, likelihood, name):
    with pytest.raises(ArgumentError, match=f"^{name} is"):
        decompose(world, likelihood)


# The heuristic step: whether the entropy of one model's softmax can stand for I(f(x); w | x). Here the axes are
# (the output, the weights), for one x.


def test_a_deterministic_output_holds_its_whole_entropy_about_the_weights():
    outputs = np.zeros((3, 5))
    outputs[[0, 0, 1, 1, 2], np.arange(5)] = 0.2  # output of each of five equally likely weights
    assert information(outputs, (0,), (1,)) == pytest.approx(entropy(outputs, (0,)))
    assert entropy(outputs, (0,), given=(1,)) == pytest.approx(0)


def test_for_a_label_drawn_from_the_softmax_the_mean_entropy_is_what_is_subtracted():
    softmax = np.random.default_rng(0).dirichlet(np.ones(4), 6)  # of six equally likely weights
    joint = softmax.T / 6
    mean_entropy = np.mean([-sum(q * math.log(q) for q in row) for row in softmax])
    average = softmax.mean(axis=0)
    expected = -sum(q * math.log(q) for q in average) - mean_entropy
    assert information(joint, (0,), (1,)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("softmax", "entropy_of_one", "held"),
    [([[0.5, 0.5], [0.5, 0.5]], math.log(2), 0.0), ([[1.0, 0.0], [0.0, 1.0]], 0.0, math.log(2))],
)
def test_entropy_of_one_softmax_can_be_largest_where_the_information_is_zero_and_the_reverse(
    softmax, entropy_of_one, held
):
    joint = np.array(softmax).T / 2
    assert entropy(joint, (0,), given=(1,)) == pytest.approx(entropy_of_one)
    assert information(joint, (0,), (1,)) == pytest.approx(held, abs=1e-12)
