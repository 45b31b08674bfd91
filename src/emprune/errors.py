"""Errors of the library: one base class, few types, every message says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EmpruneError(Exception):
    """Base class of every error that emprune raises on purpose."""


class ArgumentError(EmpruneError, ValueError):
    """An argument is outside what is allowed.

    The message names the argument, the value received and what is allowed.

    >>> raise ArgumentError("prune_rate", 1.5, "a number in [0, 1)")
    Traceback (most recent call last):
        ...
    emprune.errors.ArgumentError: prune_rate is 1.5; allowed: a number in [0, 1).
    """

    def __init__(self, argument: str, value: object, allowed: str, hint: str = "") -> None:
        self.argument, self.value, self.allowed, self.hint = argument, value, allowed, hint
        message = f"{argument} is {value!r}; allowed: {allowed}."
        super().__init__(f"{message} {hint}".rstrip())

    def __reduce__(self) -> tuple[type[ArgumentError], tuple[object, ...]]:
        """Errors travel between processes by pickling, which knows the message alone."""
        return type(self), (self.argument, self.value, self.allowed, self.hint)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The hint for a name that is not known: the nearest one that is, or nothing where none is near.

    >>> did_you_mean("infobach", ["emp", "infobatch"])
    "Did you mean 'infobatch'?"
    """
    nearest = difflib.get_close_matches(str(word), list(known), n=1)
    return f"Did you mean {nearest[0]!r}?" if nearest else ""


class NonFiniteError(EmpruneError):
    """A loss or memory term is NaN or infinite; the message names the sample ids."""


class EpochOrderError(EmpruneError):
    """Observations or epochs arrive in another order than the run's."""


class StateError(EmpruneError):
    """A state cannot be restored here; the message names the field and both values."""


class RankError(EmpruneError):
    """The ranks of a distributed run disagree; every rank raises it and names the first difference."""


class DataError(EmpruneError):
    """A data set is missing, incomplete, not the one that was published, or another one than when the run began."""


class EmpruneWarning(UserWarning):
    """Category of the library's warnings: a run goes on, but not as it was probably meant."""
