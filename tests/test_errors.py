"""Errors reach a parent process whole."""

from __future__ import annotations

import pickle

from emprune import ArgumentError
from emprune.errors import did_you_mean


def test_an_argument_error_travels_between_processes() -> None:
    error = ArgumentError("k", 0, "an integer of at least 1", "Keep more.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.argument, again.hint) == (str(error), "k", "Keep more.")


def test_a_name_that_is_near_a_known_one_is_answered_with_it() -> None:
    assert did_you_mean("bta", ["beta", "gamma"]) == "Did you mean 'beta'?"
    assert did_you_mean("resnet", ["beta", "gamma"]) == ""
