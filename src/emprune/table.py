"""ScoreTable: what training has shown of each sample so far, in 16 bytes a sample and the policy's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.distributed.rank_slice import RankSlice
from emprune.errors import ArgumentError, EpochOrderError, StateError

_T = TypeVar("_T", bound=np.generic)
Unseen = Literal["first", "mean"]

INFORMATIVE = "informative"
"""Number an epoch that the pruner notes where its rate follows the scores; see :mod:`emprune.epoch.auto_rate`."""

_CLOSE = 16
"""Bytes of marks for an id that are worth less than sorting it."""

MEAN_LOSS, MEAN_BEFORE = "mean.loss", "mean.before"
"""Columns with a running average of each sample's losses, where the pruner is to remember it: one loss an epoch, the
last, enters the average as it was before the epoch, so that it does not matter when observations are moved here."""
_NEWEST = 0.3
"""Weight of the newest loss in it, chosen by measurement (studies/suspects) [ours]."""

_HISTORY = "history."
_COLUMNS = {"loss": np.float32, "memory": np.float32, "last_seen": np.int32, "times_trained": np.int32}
_UNSEEN = {"loss": np.inf, "memory": 0, "last_seen": -1, "times_trained": 0}


@dataclass
class Observations:
    """An epoch's observations on the host, in the order in which they were made.

    Attributes:
        ids: int64, shape [M].
        loss: float32, shape [M].
        memory: float32, shape [M], NaN where a step gave none.
        trained: bool, shape [M]: went through backward, repetitions inside a batch marked once.
        step: int64, shape [M]: which forward pass it comes from, counted from the last flush on.
        is_train_step: bool, shape [M]: made by a training step, whether or not the sample went through backward.
        extra: by name, float32, shape [M]: what else the policy reads.
        epoch: which one, from 0; -1: not known.
    """

    ids: NDArray[np.int64]
    loss: NDArray[np.float32]
    memory: NDArray[np.float32]
    trained: NDArray[np.bool_]
    step: NDArray[np.int64]
    is_train_step: NDArray[np.bool_]
    extra: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    epoch: int = -1

    @classmethod
    def of(cls, **columns: NDArray[Any]) -> Observations:
        """From columns by name, those that every observation has and those of ``extra``."""
        common = {name: columns.pop(name) for name in _common(cls)}
        return cls(extra=columns, epoch=-1, **common)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, those of ``extra`` among them."""
        common = {name: getattr(self, name) for name in _common(type(self))}
        return common | self.extra

    def take(self, which: NDArray[np.int64]) -> Observations:
        """The observations at these places.

        Args:
            which: int64, shape [K], in [0, M).
        """
        taken = Observations.of(**{name: column[which] for name, column in self.columns().items()})
        return replace(taken, epoch=self.epoch)

    def latest(self, usable: NDArray[np.bool_]) -> Observations:
        """The last usable observation of each sample, ids increasing.

        Args:
            usable: bool, shape [M].
        """
        backwards = np.flatnonzero(usable)[::-1]
        return self.take(backwards[np.unique(self.ids[backwards], return_index=True)[1]])


class ScoreTable:
    """Four columns, one row a sample; the row number is the sample's id, less the first row that this rank holds.

    The columns are read-only views of shape [rows], which is N where one rank holds all.

    Attributes:
        loss: float32, nats, last observed loss. +inf: never seen; NaN: quarantined.
        memory: float32, nats, last observed memory term; 0 where never seen, NaN where none was given.
        last_seen: int32, epoch of the last observation, -1 for never.
        times_trained: int32, number of epochs in which the sample went through backward.
        extra: by name, float32 columns that a policy keeps for itself, and "mean.loss" where the pruner remembers it:
            nats, NaN until there is a finite loss.
        sample_weight: float32, in [0, 1]: the run's weight of each sample over the largest; None: all weigh the same.

    Args:
        num_samples: N.
        extra: names and initial values of such columns.
        owned: the rows that this rank holds; None: all.
        history: names and initial values of numbers an epoch that a policy keeps; see :meth:`history`.
        num_epochs: E, how many of each.
        sample_weight: float32, shape [rows]. It is not part of the state: whoever restores that gives it.

    Raises:
        ArgumentError: an extra column has the name of one of the four.
    """

    def __init__(
        self,
        num_samples: int,
        extra: Mapping[str, float] | None = None,
        owned: RankSlice | None = None,
        history: Mapping[str, float] | None = None,
        num_epochs: int = 0,
        sample_weight: NDArray[np.float32] | None = None,
    ) -> None:
        self.sample_weight = None if sample_weight is None else _read_only(sample_weight)
        self._log_weights: NDArray[np.float32] | None = None
        self.owned = owned or RankSlice.whole(num_samples)
        for name in extra or {}:
            if name in _COLUMNS:
                raise ArgumentError("columns", name, f"a name other than {', '.join(_COLUMNS)}")
        self._unseen: dict[str, float] = {**_UNSEEN, **(extra or {})}
        self._columns = {
            name: _filled(self.owned.size, value, _COLUMNS.get(name, np.float32))
            for name, value in self._unseen.items()
        }
        self._unset: dict[str, float] = dict(history or {})
        self._history = {name: np.full(num_epochs, value, dtype=np.float64) for name, value in self._unset.items()}

    def __len__(self) -> int:
        return len(self._columns["loss"])

    @property
    def loss(self) -> NDArray[np.float32]:
        return _read_only(self._columns["loss"])

    @property
    def memory(self) -> NDArray[np.float32]:
        return _read_only(self._columns["memory"])

    @property
    def last_seen(self) -> NDArray[np.int32]:
        return _read_only(self._columns["last_seen"])

    @property
    def times_trained(self) -> NDArray[np.int32]:
        return _read_only(self._columns["times_trained"])

    @property
    def extra(self) -> dict[str, NDArray[np.float32]]:
        return {name: _read_only(column) for name, column in self._columns.items() if name not in _COLUMNS}

    def column(self, name: str) -> NDArray[np.float32]:
        """float32, shape [N], writable: a policy's own column, for its ``update``. KeyError for any other name."""
        if name in _COLUMNS:
            raise KeyError(f"{name} is written by the pruner alone; a policy writes the columns that it declares.")
        return self._columns[name]

    def history(self, name: str) -> NDArray[np.float64]:
        """float64, shape [E], writable: numbers an epoch that the policy declares; KeyError for any other name."""
        return self._history[name]

    def log_weights(self) -> NDArray[np.float32] | None:
        """float32, shape [rows]: log of the samples' weights, -inf for a weight of 0; None: all weigh the same.

        Kept once it was asked for, since a plan asks several times: 4 bytes a row.
        """
        if self._log_weights is None and self.sample_weight is not None:
            with np.errstate(divide="ignore"):
                self._log_weights = _read_only(np.log(self.sample_weight))
        return self._log_weights

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes: 16·N, and 4·N for each column that the policy keeps and for weights."""
        weights = 0 if self.sample_weight is None else self.sample_weight.nbytes
        return weights + sum(column.nbytes for column in self._columns.values())

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """bool, shape [N]: samples without any observation."""
        return self._columns["last_seen"] < 0

    @property
    def has_memory(self) -> bool | None:
        """Whether steps gave a memory term, by the first row with a finite loss here; None where there is none."""
        finite = np.isfinite(self._columns["loss"])
        return not np.isnan(self._columns["memory"][finite.argmax()]) if finite.any() else None

    @property
    def quarantined(self) -> NDArray[np.int64]:
        """int64: ids whose last loss or memory term was not finite, in increasing order."""
        return self.owned.begin + np.flatnonzero(np.isnan(self._columns["loss"]))

    def rank(self, scores: NDArray[np.float32], unseen: Unseen) -> NDArray[np.float32]:
        """A copy of ``scores`` ready for a selection rule.

        Args:
            scores: float32, shape [N], computed from the columns; higher means more worth training.
            unseen: where never seen samples stand: "first" (+inf) or "mean" (mean of the seen ones).

        Returns:
            float32, shape [N]; quarantined samples are NaN.
        """
        check_unseen(unseen)
        ranked = np.array(scores, dtype=np.float32)
        never = self.unseen
        if not self.owned.count(never):
            return ranked
        fill = np.float32(np.inf)
        if unseen == "mean":
            fill = self.owned.finite_mean(ranked[~never])
        ranked[never] = fill
        return ranked

    def record(
        self,
        ids: NDArray[np.int64],
        loss: NDArray[np.float32],
        memory: NDArray[np.float32] | None,
        epoch: int,
        trained: NDArray[np.bool_],
    ) -> None:
        """Write observations of one epoch, in the order in which they were made.

        An id that occurs several times keeps its last score and counts as trained each time (the caller
        counts repetitions inside one batch once, by ``trained``).

        Args:
            ids: int64, shape [M], rows in [0, N).
            loss: float32, shape [M]; NaN quarantines the sample.
            memory: float32, shape [M], or None where the scorer has none (stored as NaN).
            epoch: the epoch they belong to.
            trained: bool, shape [M]: whether the observation also went through backward.

        Raises:
            EpochOrderError: a later epoch has been recorded for one of the ids.
        """
        if not len(ids):
            return
        last = int(self._columns["last_seen"][ids].max())
        if epoch < last:
            raise EpochOrderError(
                f"observations of epoch {epoch} arrive after epoch {last} was recorded; observe epochs in order."
            )
        if MEAN_LOSS in self._columns:
            again = self._columns["last_seen"][ids] == epoch
            before = np.where(again, self._columns[MEAN_BEFORE][ids], self._columns[MEAN_LOSS][ids])
            self._columns[MEAN_BEFORE][ids], self._columns[MEAN_LOSS][ids] = before, _averaged(before, loss)
        self._columns["loss"][ids] = loss
        self._columns["memory"][ids] = np.float32(np.nan) if memory is None else memory
        self._columns["last_seen"][ids] = epoch
        counted = ids[trained]
        if has_duplicates(counted):
            np.add.at(self._columns["times_trained"], counted, 1)
        else:
            self._columns["times_trained"][counted] += 1

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The columns as flat tensors (copies)."""
        columns = self._columns | {_HISTORY + name: numbers for name, numbers in self._history.items()}
        return {name: torch.from_numpy(column.copy()) for name, column in columns.items()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Replace the columns.

        Raises:
            StateError: a column is missing or has another shape or dtype; nothing is changed then.
        """
        self.replace(self.columns_of(state))

    def columns_of(self, state: Mapping[str, Any], rows: int | None = None) -> dict[str, NDArray[Any]]:
        """Copies of a state's columns, as this table would hold them.

        Args:
            rows: how many the state holds, at most as many as this table; those behind them have never been seen.
                None: as many.

        Raises:
            StateError: as :meth:`load_state_dict`.
        """
        shape = (len(self) if rows is None else rows,)
        found = {}
        for name, column in self._columns.items():
            found[name] = _filled(len(column), self._unseen[name], column.dtype)
            if name not in state:
                if name in (MEAN_LOSS, MEAN_BEFORE):  # of a run that did not remember until now
                    continue
                raise StateError(f"state has no column {name!r}; it has {sorted(state)}.")
            value = array_of(f"column {name!r}", state[name])
            if value.shape != shape or value.dtype != column.dtype:
                raise StateError(
                    f"column {name!r} is {value.dtype} of shape {value.shape}; "
                    f"this table holds {column.dtype} of shape {shape}."
                )
            found[name][: shape[0]] = value
        return found | self._history_of(state)

    def replace(self, columns: dict[str, NDArray[Any]]) -> None:
        """Replace the columns by those of :meth:`columns_of`."""
        self._columns = {name: columns[name] for name in self._columns}
        self._history = {name: columns[_HISTORY + name] for name in self._history}

    def _history_of(self, state: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
        """Copies of a state's numbers an epoch, cut or filled up to this table's epochs."""
        found = {}
        for name, numbers in self._history.items():
            # Of a run at a fixed rate, or of an earlier version: what it did not note is not known.
            if _HISTORY + name not in state and np.isnan(self._unset[name]):
                found[_HISTORY + name] = np.full_like(numbers, self._unset[name])
                continue
            if _HISTORY + name not in state:
                raise StateError(f"state has no column {_HISTORY + name!r}; it has {sorted(state)}.")
            value = array_of(f"column {_HISTORY + name!r}", state[_HISTORY + name])
            if value.ndim != 1 or value.dtype != numbers.dtype:
                raise StateError(
                    f"column {_HISTORY + name!r} is {value.dtype} of shape {value.shape}; "
                    f"this table holds {numbers.dtype} of shape {numbers.shape}."
                )
            epochs = min(len(value), len(numbers))
            found[_HISTORY + name] = np.full_like(numbers, self._unset[name])
            found[_HISTORY + name][:epochs] = value[:epochs]
        return found


def check_unseen(unseen: str) -> None:
    """Raise ArgumentError unless ``unseen`` is a place that :meth:`ScoreTable.rank` knows."""
    if unseen not in ("first", "mean"):
        raise ArgumentError("unseen", unseen, "'first' or 'mean'")


def array_of(name: str, value: Any) -> NDArray[Any]:
    """A state's tensor on the host, without a copy where it lies there.

    Raises:
        StateError: it is no tensor, or one that NumPy does not hold.
    """
    if not isinstance(value, torch.Tensor):
        raise StateError(f"{name} is a {type(value).__name__}; allowed: a tensor.")
    try:
        return value.detach().cpu().numpy()
    except (RuntimeError, TypeError) as error:
        found = f"{value.dtype}, {value.layout}"
        raise StateError(f"{name} is {found}; allowed: a dense tensor of plain numbers.") from error


def has_duplicates(ids: NDArray[np.int64]) -> bool:
    """Whether an id occurs twice. By marks where ids lie close, else by sorting: np.unique hashes, and is slower."""
    if not len(ids):
        return False
    first, last = int(ids.min()), int(ids.max())
    if last - first < _CLOSE * len(ids):
        marks = np.zeros(last - first + 1, dtype=bool)
        marks[ids - first] = True
        return int(np.count_nonzero(marks)) < len(ids)
    ordered = np.sort(ids)
    return bool((ordered[1:] == ordered[:-1]).any())


def _filled(size: int, value: float, dtype: Any) -> NDArray[Any]:
    """An array of one value; of zeros, whose pages take no memory until they are written."""
    return np.full(size, value, dtype=dtype) if value else np.zeros(size, dtype=dtype)


def _common(observations: type[Observations]) -> list[str]:
    return [each.name for each in fields(observations) if each.name not in ("extra", "epoch")]


def _read_only(column: NDArray[_T]) -> NDArray[_T]:
    view = column.view()
    view.flags.writeable = False
    return view


def _averaged(before: NDArray[np.float32], loss: NDArray[np.float32]) -> NDArray[np.float32]:
    """The running average after one more loss; what is not finite leaves it as it was."""
    first, usable = np.isnan(before), np.isfinite(loss)
    after = np.where(first, loss, before + np.float32(_NEWEST) * (loss - before))
    return np.where(usable, after, before).astype(np.float32)
