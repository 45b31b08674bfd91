"""Static policies: one subset for the whole run, from scores or ids that were made before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emprune.errors import ArgumentError
from emprune.policies.base import Policy, Request
from emprune.scoring.stored import load_scores
from emprune.selection import Selection, top
from emprune.selection.coresets import ccs, check_ccs
from emprune.selection.topk import Floats, Ids

RULES = ("top", "bottom", "ccs")


@dataclass(repr=False, eq=False)
class StaticScores(Policy):
    """One subset by scores that were made before the run: of this run's data, by another, shorter one.

    "top" keeps the hardest, as EL2N, GraNd (Paul et al. 2021, arXiv:2107.07075), forgetting (Toneva et al.
    2019, arXiv:1812.05159) and uncertainty (Coleman et al. 2020, arXiv:1906.11829) do; "bottom" the easiest;
    "ccs" samples the range of scores evenly without its hardest end (:func:`emprune.selection.coresets.ccs`). Equal
    scores are broken at random, once for the run. An epoch of another size (an exact budget rounds) gets the
    subset of that size by the same rule and the same draw.

    Args:
        scores: path of a file that :func:`emprune.scoring.stored.load_scores` reads, or the scores
            themselves: finite, shape [N], higher means harder.
        rule: "top", "bottom" or "ccs".
        column: which column of the file; may be left out where it has one alone.
        cutoff: β of "ccs", the fraction of hardest samples left out, in [0, 1). The paper tunes it for each
            rate and data set; 0.3 is the example in its code, for 90 % of CIFAR-10.
        strata: of "ccs".

    Raises:
        ArgumentError: a setting is unknown, the file cannot be read, or a score is not finite; and, when an
            epoch is planned, the number of scores is not N or ``cutoff`` leaves too few samples.
    """

    scores: str | Path | ArrayLike
    rule: str = "top"
    column: str | None = None
    cutoff: float = 0.3
    strata: int = 50

    name = "static-scores"
    looks_at_scores = False
    source = "scores made beforehand: Paul et al. 2021, arXiv:2107.07075; ccs: Zheng et al. 2023, arXiv:2210.15809"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ArgumentError("rule", self.rule, f"one of {', '.join(RULES)}")
        self.cutoff, self.strata = check_ccs(self.cutoff, self.strata)
        from_file = isinstance(self.scores, str | Path)
        values = _column(self.scores, self.column) if from_file else self.scores  # type: ignore[arg-type]
        self._values = _finite(np.asarray(values))

    def select(self, request: Request) -> Selection:
        _check_length("scores", len(self._values), len(request.table))
        rng = request.rng(every_epoch=False)
        if self.rule == "ccs":
            return Selection(ccs(self._values, request.k, rng, cutoff=self.cutoff, strata=self.strata))
        return top(-self._values if self.rule == "bottom" else self._values, request.k, rng)

    def settings(self) -> dict[str, Any]:
        """The arguments as JSON values; of the scores the file's name, if any, and the digest of their bytes.

        A file may lie in another folder when a state is restored, but must hold the same scores.
        """
        shown: dict[str, Any] = {"scores": _digest(self._values), "rule": self.rule}
        if isinstance(self.scores, str | Path):
            shown |= {"file": Path(self.scores).name, "column": self.column}
        return shown | ({"cutoff": self.cutoff, "strata": self.strata} if self.rule == "ccs" else {})


@dataclass(repr=False, eq=False)
class StaticSubset(Policy):
    """A subset that was chosen before the run, for instance a coreset.

    Rules that choose one are in :mod:`emprune.selection.coresets`.

    Args:
        ids: integers, distinct, in [0, N), best first: an epoch that keeps k samples trains the first k.
        origin: what chose them, for reports.

    Raises:
        ArgumentError: ids are not distinct integers from 0; and, when an epoch is planned, one is not
            below N or there are fewer than k.
    """

    ids: ArrayLike
    origin: str = ""

    name = "static-subset"
    looks_at_scores = False
    source = "ids chosen beforehand"

    def __post_init__(self) -> None:
        ids = np.asarray(self.ids)
        if ids.ndim != 1 or ids.dtype.kind not in "iu" or not len(ids):
            raise ArgumentError("ids", f"{ids.dtype} of shape {ids.shape}", "integers of shape [k], at least one")
        if ids.min() < 0:
            raise ArgumentError("ids", f"{int(ids.min())} among others", "dataset positions, from 0")
        if (repeated := len(ids) - len(np.unique(ids))) > 0:
            raise ArgumentError("ids", f"a list with {repeated} repeated ids", "distinct dataset positions")
        self._ids: Ids = ids.astype(np.int64)

    def select(self, request: Request) -> Selection:
        largest, num_samples = int(self._ids.max()), len(request.table)
        if largest >= num_samples:
            raise ArgumentError("ids", f"{largest} among others", f"dataset positions from 0 to {num_samples - 1}")
        if request.k > len(self._ids):
            raise ArgumentError(
                "ids", f"a list of {len(self._ids)}", f"at least {request.k}, which this epoch keeps",
                "Choose a larger subset, or raise the prune rate.",
            )  # fmt: skip
        return Selection(self._ids[: request.k])

    def settings(self) -> dict[str, Any]:
        """JSON values: how many ids, the digest of their bytes, and the origin."""
        return {"ids": _digest(self._ids), "count": len(self._ids), "origin": self.origin}


def _column(path: str | Path, column: str | None) -> NDArray[Any]:
    columns = load_scores(path)
    if column is None and len(columns) == 1:
        return next(iter(columns.values()))
    if column not in columns:
        raise ArgumentError("column", column, f"one of {', '.join(columns)}, which {path} holds")
    return columns[column]


def _finite(values: NDArray[Any]) -> Floats:
    if values.ndim != 1 or values.dtype.kind not in "fiub" or not len(values):
        raise ArgumentError("scores", f"{values.dtype} of shape {values.shape}", "numbers of shape [N], at least one")
    scores = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        shown = ", ".join(map(str, bad[:10].tolist())) + (", …" if len(bad) > 10 else "")
        raise ArgumentError("scores", f"NaN or infinite for {len(bad)} sample(s), ids {shown}", "finite numbers")
    return scores


def _check_length(name: str, found: int, num_samples: int) -> None:
    if found != num_samples:
        raise ArgumentError(name, f"of {found} samples", f"one for each of the pruner's {num_samples} samples")


def _digest(values: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).hexdigest()
