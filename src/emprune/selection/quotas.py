"""Class quotas: how many of an epoch's k samples each class gets, exact to the sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from emprune.checks import plain
from emprune.errors import ArgumentError, did_you_mean
from emprune.selection.topk import Ids

Shares = Literal["equal", "proportional"] | Mapping[Any, float]
_SHOWN = 10
_CLOSE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Quotas:
    """Each sample's class, and what share of every epoch a class gets: ``Pruner(..., quotas=Quotas(labels))``.

    Of an epoch's k samples class c gets k·share_c, but no more than it has; what that leaves goes to the other classes
    in proportion to their shares. Counts are whole: each is its quota rounded down or up, by systematic rounding at a
    random start (Madow 1949), so that they add up to k and each is right on average over epochs. Within a class the
    policy selects as it would on that class alone. Loss weights stay what the policy gives: ones, mostly. An epoch
    that keeps all samples trains all of them.

    Args:
        labels: shape [N], the class of each sample: integers, strings, or anything else that sorts.
        shares: "equal": each class the same; "proportional": in proportion to its number of samples (stratified
            sampling); or a share for each class by label, at least 0, of which ratios matter alone.

    Raises:
        ArgumentError: labels are not one-dimensional, or shares do not name the classes.

    >>> quotas = Quotas(["cat"] * 90 + ["dog"] * 10)
    >>> quotas.counts(30, quotas.sizes, np.random.default_rng(0)).tolist()
    [20, 10]
    """

    labels: ArrayLike
    shares: Shares = "equal"

    def __post_init__(self) -> None:
        labels: Any = self.labels
        found = np.asarray(labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else labels)
        if found.ndim != 1 or not len(found) or found.dtype.kind == "O":
            raise ArgumentError(
                "labels", f"{found.dtype} of shape {found.shape}", "one class a sample, shape [N], of integers or text",
                "Of a data set: [label for _, label in dataset], or dataset.targets.",
            )  # fmt: skip
        classes, codes = np.unique(found, return_inverse=True)
        object.__setattr__(self, "labels", found)
        object.__setattr__(self, "_classes", classes.tolist())
        object.__setattr__(self, "_codes", codes.astype(np.int32))
        object.__setattr__(self, "_shares", self._checked_shares())

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"Quotas({len(self)} labels of {len(self.classes)} classes, shares={self.shares!r})"

    @property
    def classes(self) -> list[Any]:
        """The C different labels, in order."""
        return self._classes  # type: ignore[attr-defined, no-any-return]

    @property
    def codes(self) -> NDArray[np.int32]:
        """int32, shape [N]: the place of each sample's class among :attr:`classes`."""
        return self._codes  # type: ignore[attr-defined, no-any-return]

    @property
    def sizes(self) -> Ids:
        """int64, shape [C]: samples of each class."""
        return self.available(None)

    def available(self, usable: NDArray[np.bool_] | None) -> Ids:
        """int64, shape [C]: samples of each class that are marked, bool, shape [N]; None: all of them."""
        return np.bincount(self.codes, usable, len(self.classes)).astype(np.int64)

    def counts(self, k: int, available: Ids, rng: np.random.Generator) -> Ids:
        """int64, shape [C]: how many of each class, k in all.

        Args:
            k: from 0 to what is available of the classes that have a share.
            available: int64, shape [C]: most that each class can give.

        Raises:
            ArgumentError: classes with a share have fewer than k.
        """
        return rounded(self.expected(k, available), rng)

    def expected(self, k: int, available: Ids) -> NDArray[np.float64]:
        """float64, shape [C]: :meth:`counts` on average; arguments and errors as there."""
        shares: NDArray[np.float64] = self._shares  # type: ignore[attr-defined]
        most = int(available[shares > 0].sum())
        if k > most:
            raise ArgumentError(
                "quotas", f"such that classes with a share have {most} samples to give", f"at least {k} of them, which "
                "an epoch keeps", "Raise the prune rate, or give further classes a share.",
            )  # fmt: skip
        expected = np.zeros(len(shares))
        open_ = shares > 0
        while open_.any():  # each round fills a class or is the last
            left = k - expected[~open_].sum()
            wanted = left * shares / shares[open_].sum()
            full = open_ & (wanted >= available)
            if not full.any():
                expected[open_] = wanted[open_]
                break
            expected[full] = available[full]
            open_ &= ~full
        return expected

    def by_class(self) -> list[Ids]:
        """C arrays, int64: the samples of each class, in increasing order."""
        # NumPy sorts 16 bits by radix, many times as fast as more of them.
        codes = self.codes.astype(np.uint16) if len(self.sizes) <= 2**16 else self.codes
        return np.split(np.argsort(codes, kind="stable"), np.cumsum(self.sizes)[:-1])

    def settings(self) -> dict[str, Any]:
        """What a state must agree on."""
        shares = dict(zip(map(str, self.classes), self._shares.tolist(), strict=True))  # type: ignore[attr-defined]
        return {"labels": self.codes, "shares": self.shares if isinstance(self.shares, str) else shares}

    def _checked_shares(self) -> NDArray[np.float64]:
        shares, classes = self.shares, self.classes
        if isinstance(shares, str) and shares in ("equal", "proportional"):
            return np.ones(len(classes)) if shares == "equal" else self.sizes.astype(np.float64)
        if not isinstance(shares, Mapping):
            hint = did_you_mean(shares, ("equal", "proportional"))
            raise ArgumentError("shares", shares, '"equal", "proportional" or a number for each class, by label', hint)
        given = {plain(key): plain(value) for key, value in shares.items()}
        for name in [*given, *classes]:
            if name not in given or name not in classes:
                listed = ", ".join(map(repr, classes[:_SHOWN])) + (", …" if len(classes) > _SHOWN else "")
                raise ArgumentError(
                    "shares", f"{'without' if name not in given else 'with'} {name!r}", f"one for each class: {listed}",
                    "A share of 0 leaves a class out.",
                )  # fmt: skip
        values = [given[name] for name in classes]
        usable = all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < np.inf for one in values)
        if not usable or not any(values):
            raise ArgumentError("shares", given, "finite numbers of at least 0, one of them above 0")
        return np.array(values, dtype=np.float64)


def rounded(expected: NDArray[np.float64], rng: np.random.Generator) -> Ids:
    """int64: whole numbers of the same sum, each one rounded down or up, and right on average.

    Args:
        expected: float64, shape [C], at least 0, of whole sum.

    >>> int(rounded(np.array([1.5, 1.25, 0.25]), np.random.default_rng(0)).sum())
    3
    """
    whole = np.floor(expected + _CLOSE)
    parts = expected - whole
    parts[parts < _CLOSE] = 0  # so that a class whose quota is whole gets no more
    ends = np.floor(np.cumsum(parts) + rng.random())
    ends[-1] = round(float(parts.sum()))
    return (whole + np.diff(ends, prepend=0)).astype(np.int64)
