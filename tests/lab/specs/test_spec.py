"""Policies by their labels."""

import pytest

from emprune.errors import ArgumentError
from emprune_lab.specs.spec import RunSpec, build_pruner, parse_policy
from emprune_lab.tasks import recipe_for


def test_policy_labels():
    assert parse_policy("emp:beta=2.5:rule=top") == ("emp", {"beta": 2.5, "rule": "top"})
    with pytest.raises(ArgumentError, match=r"'best'.*full, .*short"):
        parse_policy("best")
    with pytest.raises(ArgumentError, match="name:setting=value"):
        parse_policy("emp:beta")
    with pytest.raises(ArgumentError, match="size"):
        build_pruner(RunSpec("digits", "emp:size=3", 0.7, 0, recipe_for("digits")), 100)
