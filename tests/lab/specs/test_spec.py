"""Policies by their labels."""

import pytest

from emprune.errors import ArgumentError
from emprune_lab.specs.spec import RunSpec, build_policy, build_pruner, parse_policy
from emprune_lab.tasks import recipe_for


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
        ("full:rate=1", "rate is 1; allowed: left out: policy 'full' has no settings"),
        ("short:epochs=3", "epochs is 3; allowed: left out: policy 'short' has no settings"),
        ("static-subset", "policy is 'static-subset'; allowed: one without ids, which only a program can .*el2n"),
        ("static-scores", "policy is 'static-scores'; allowed: static-scores:scores=FILE, .*el2n"),
    ],
)
def test_a_label_that_is_not_understood_is_answered_with_what_was_meant(label, message):
    with pytest.raises(ArgumentError, match=message):
        build_policy(label)
