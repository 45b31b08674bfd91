"""Policies by their labels."""

import pytest

from emprune.errors import ArgumentError
from emprune_lab.runs.compare import grid
from emprune_lab.specs.spec import RunSpec, build_policy, build_pruner, parse_policy
from emprune_lab.tasks import recipe_for

ALL = ["full", "emp:rate=auto", "emp:rate=auto-target"]


def test_policy_labels():
    assert parse_policy("emp:beta=2.5:rule=top") == ("emp", {"beta": 2.5, "rule": "top"})
    with pytest.raises(ArgumentError, match=r"'best'.*full, .*short"):
        parse_policy("best")
    with pytest.raises(ArgumentError, match="name:setting=value"):
        parse_policy("emp:beta")
    with pytest.raises(ArgumentError, match="size"):
        build_pruner(RunSpec("digits", "emp:size=3", 0.7, 0, recipe_for("digits")), 100)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("infobach", r"policy is 'infobach'; .*Did you mean 'infobatch'\?"),
        ("EMP", r"policy is 'EMP'; .*Did you mean 'emp'\?"),
        ("grand-last-laye", r"Did you mean 'grand-last-layer'\?"),
        ("emp:bta=2", r"bta is 2; allowed: settings of policy 'emp', beta, .*Did you mean 'beta'\?"),
        ("emp:beta=two", "beta is 'two'; allowed: a finite number"),
        ("emp:beta=1:beta=2", "policy is 'emp:beta=1:beta=2'; allowed: name:setting=value"),
        ("emp:rate=automatic", "rate is 'automatic'; allowed: settings of policy 'emp'"),
        ("full:rate=1", "rate is 1; allowed: left out: policy 'full' has no settings"),
        ("short:epochs=3", "epochs is 3; allowed: left out: policy 'short' has no settings"),
        ("static-subset", "policy is 'static-subset'; allowed: one without ids, which only a program can .*el2n"),
        ("static-scores", "policy is 'static-scores'; allowed: static-scores:scores=FILE, .*el2n"),
    ],
)
def test_a_label_that_is_not_understood_is_answered_with_what_was_meant(label, message):
    with pytest.raises(ArgumentError, match=message):
        build_policy(label)


def pruner_of(policy, rate=0.7, **options):
    return build_pruner(RunSpec("digits", policy, rate, 0, recipe_for("digits"), **options), 1000)


@pytest.mark.parametrize("options", [{}, {"anneal": 0.1}, {"anneal": 0.1, "budget": "run"}])
def test_a_label_lets_the_rate_follow_the_scores_and_train_as_much_as_all_others(options):
    free, shared = (pruner_of(f"emp:beta=2:rate={rate}", **options) for rate in ("auto", "auto-target"))
    assert free.policy.beta == shared.policy.beta == 2
    assert sum(shared.kept) == sum(pruner_of("random", **options).kept) < sum(free.kept)
    assert free.kept[-1] == (1000 if options else 900)


def test_a_run_that_follows_the_scores_alone_is_trained_once_a_seed():
    specs = grid(RunSpec("digits", "full", 0.0, 0, recipe_for("digits")), ALL, [0.5, 0.7], [0, 1], [0.0])
    rates = [(spec.policy, spec.prune_rate) for spec in specs if spec.seed == 1]
    assert rates == [("full", 0), ("emp:rate=auto", 0), ("emp:rate=auto-target", 0.5), ("emp:rate=auto-target", 0.7)]


def test_policies_that_look_at_no_score_have_no_rate_of_their_own():
    for label in ("random:rate=auto", "short:rate=auto-target", "el2n:rate=auto"):
        with pytest.raises(ArgumentError, match="allowed: one that looks at scores"):
            pruner_of(label)
