"""The observation buffer: the values of an epoch's steps, kept on their device until the epoch ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import NonFiniteError
from emprune.table import Observations, has_duplicates

_FEW = 4096
"""Bytes that Python sums up faster than NumPy, which is out of the processor's caches after a model's step."""

OnNonFinite = Literal["error", "quarantine"]


def nonfinite(columns: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """bool, shape [M]: whether a value in one of the columns, shape [M] each, is NaN or infinite."""
    finite = np.isfinite(columns[0])
    for column in columns[1:]:
        finite &= np.isfinite(column)
    return ~finite


def are_finite(row: bytes | torch.Tensor) -> bool:
    """Whether all of a row's numbers are; True for those on a device, which are not read.

    Args:
        row: as in :class:`Step`.
    """
    if isinstance(row, torch.Tensor):
        return True
    if len(row) > _FEW:
        return bool(np.isfinite(np.frombuffer(row, dtype=np.float32)).all())
    return math.isfinite(sum(memoryview(row).cast("f")))  # in float64, where no sum of float32 overflows


def raise_nonfinite(ids: NDArray[np.int64], names: Sequence[str]) -> None:
    """Raise the error that names non-finite samples; nothing for an empty array.

    Args:
        names: of the values that were checked.
    """
    if len(ids):
        ids = np.unique(ids)
        shown = ", ".join(map(str, ids[:10].tolist())) + (", …" if len(ids) > 10 else "")
        raise NonFiniteError(
            f"{' or '.join(names)} is NaN or infinite for {len(ids)} sample(s), ids {shown}; allowed: finite values. "
            "Lower the learning rate or fix these samples, whose targets may not be those of the scoring function, or "
            'build the pruner with on_nonfinite="quarantine".'
        )


class Step(NamedTuple):
    """One step's values, copied: a compiled step or an in-place operation may overwrite the originals.

    What lies on a device stays there; what lies on the CPU is copied as bytes, which costs a step least.

    Attributes:
        ids: int64, shape [B], on a device, or their bytes.
        values: float32, shape [V, B], on a device; or the bytes of V rows.
        names: of the V values; the first is "loss".
    """

    ids: torch.Tensor | bytes
    values: torch.Tensor | list[bytes]
    names: tuple[str, ...]

    @classmethod
    def of(cls, ids: torch.Tensor | bytes, values: Mapping[str, torch.Tensor]) -> Step:
        """Copy the tensors, floating point of shape [B] each, detached, "loss" first; they stay on the loss's device.

        Args:
            ids: as :func:`copy_of` gives them.
        """
        if values["loss"].is_cpu:
            return cls(ids, [_bytes(value) for value in values.values()], tuple(values))
        # One operation for all: in a step, each one costs far more than its work on so few numbers.
        device = values["loss"].device
        return cls(ids, torch.stack([value.to(device) for value in values.values()]).float(), tuple(values))

    def __len__(self) -> int:
        return len(self.ids) // 8 if isinstance(self.ids, bytes) else len(self.ids)

    def row(self, name: str) -> torch.Tensor | bytes:
        """float32, shape [B], or its bytes; NaN where the step gave no such value."""
        if name in self.names:
            return self.values[self.names.index(name)]
        if isinstance(self.values, torch.Tensor):
            return torch.full_like(self.values[0], torch.nan)
        return np.full(len(self), np.nan, dtype=np.float32).tobytes()


@dataclass
class ObservationBuffer:
    """Steps of the running epoch whose values still lie on their device.

    Attributes:
        names: of the values that are collected; NaN stands for what a step did not give.
        cleared: how many steps were forgotten so far.
    """

    names: tuple[str, ...] = ("loss", "memory")
    cleared: int = 0
    _steps: list[tuple[Step, torch.Tensor | bool, bool]] = field(default_factory=list)

    def add(self, step: Step, trained: bool | torch.Tensor, *, is_train_step: bool) -> None:
        """Keep one step's values.

        Args:
            trained: all, none, or int64 positions within the batch that go through backward.
            is_train_step: whether it is a training step.
        """
        if isinstance(trained, torch.Tensor):
            mask = torch.zeros(len(step), dtype=torch.bool, device=trained.device)
            trained = mask.index_fill_(0, trained, True)
        # At once: Ctrl-C, and a dead worker's signal, may come between any two statements.
        self._steps.append((step, trained, is_train_step))

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def training_steps(self) -> int:
        """How many of the steps are training steps."""
        return sum(is_train_step for *_, is_train_step in self._steps)

    def snapshot(self) -> ObservationBuffer:
        """The steps up to now; those that another thread adds meanwhile are not in it."""
        cleared = self.cleared  # read first: so a snapshot that another thread's clear overtakes says so
        return ObservationBuffer(self.names, cleared, self._steps[:])

    def collect(self) -> Observations:
        """Bring everything to the host, in one transfer a column; ids are not checked yet."""
        steps = [step for step, *_ in self._steps]
        sizes, ids = [len(step) for step in steps], to_host([step.ids for step in steps], np.int64)
        values = {name: to_host([step.row(name) for step in steps], np.float32) for name in self.names}
        masks = [
            bytes([mask]) * size if isinstance(mask, bool) else mask
            for (_, mask, _), size in zip(self._steps, sizes, strict=True)
        ]
        trained = to_host(masks, np.bool_)
        if has_duplicates(ids):
            trained = trained & _first_in_batch(ids, sizes)
        is_train_step = np.array([is_train_step for *_, is_train_step in self._steps], dtype=bool)
        return Observations.of(
            ids=ids, trained=trained, step=np.repeat(np.arange(len(sizes)), sizes),
            is_train_step=np.repeat(is_train_step, sizes), **values,
        )  # fmt: skip

    def clear(self, count: int | None = None) -> None:
        """Forget all steps, or the first ones."""
        count = len(self._steps) if count is None else count
        del self._steps[:count]
        self.cleared += count


def to_host(batches: Sequence[torch.Tensor | bytes], dtype: type[np.generic]) -> NDArray[Any]:
    """One column's batches as one array on the host, in one transfer where all of them lie on one device."""
    tensors = [batch for batch in batches if isinstance(batch, torch.Tensor)]
    if tensors and len(tensors) == len(batches) and len({batch.device for batch in tensors}) == 1:
        return torch.cat(tensors).cpu().numpy()
    parts = [batch if isinstance(batch, bytes) else batch.cpu().numpy().tobytes() for batch in batches]
    return np.frombuffer(bytearray().join(parts), dtype=dtype)


def _bytes(value: torch.Tensor) -> bytes:
    if not (value.is_cpu and value.dtype is torch.float32):
        value = value.to("cpu", torch.float32)
    return _bytes_of(value)


def copy_of(ids: torch.Tensor) -> torch.Tensor | bytes:
    """A copy of int64 ids, shape [B]: of those on the CPU the bytes."""
    return _bytes_of(ids) if ids.is_cpu else ids.clone()


def _bytes_of(values: torch.Tensor) -> bytes:
    """A copy of what lies on the CPU, shape [B]; inside a function transform numbers have no storage, and are read."""
    try:
        return values.numpy().tobytes()
    except RuntimeError:
        kind = np.int64 if values.dtype is torch.int64 else np.float32
        return np.array([value.item() for value in values], dtype=kind).tobytes()


def _first_in_batch(ids: NDArray[np.int64], batch_sizes: list[int]) -> NDArray[np.bool_]:
    """bool, shape [M]: whether an id stands for the first time in its batch."""
    batch = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    order = np.lexsort((ids, batch))  # stable: the first of equal pairs stays first
    same = (np.diff(batch[order]) == 0) & (np.diff(ids[order]) == 0)
    first = np.ones(len(ids), dtype=bool)
    first[order[1:][same]] = False
    return first
