"""Errors reach a parent process whole."""

from __future__ import annotations

import pickle

from emprune import ArgumentError


def test_an_argument_error_travels_between_processes() -> None:
    error = ArgumentError("k", 0, "an integer of at least 1", "Keep more.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.argument, again.hint) == (str(error), "k", "Keep more.")
