"""What a training step reports: checked on arrival without waiting for the device, kept there for an epoch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import ArgumentError, NonFiniteError

OnNonFinite = Literal["error", "quarantine"]


def check_ids(ids: torch.Tensor) -> None:
    """Raise unless ``ids`` is an int64 tensor of shape [B]."""
    if not isinstance(ids, torch.Tensor) or ids.dtype != torch.int64 or ids.ndim != 1:
        found = f"{ids.dtype} of shape {tuple(ids.shape)}" if isinstance(ids, torch.Tensor) else type(ids).__name__
        raise ArgumentError("ids", found, "an int64 tensor of shape [B]", "Pass the ids that came with the batch.")


def check_per_sample(name: str, values: torch.Tensor, batch_size: int) -> None:
    """Raise unless ``values`` is a floating point tensor of shape [batch_size]."""
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        found = values.dtype if isinstance(values, torch.Tensor) else type(values).__name__
        raise ArgumentError(name, found, "a floating point tensor of shape [B]")
    if values.ndim == 0:
        raise ArgumentError(
            name, "a scalar", f"one value a sample, shape [{batch_size}]",
            'Compute it per sample: F.cross_entropy(logits, labels, reduction="none"), or '
            "emprune.scoring.classification(logits, labels).",
        )  # fmt: skip
    if values.shape != (batch_size,):
        raise ArgumentError(name, f"of shape {tuple(values.shape)}", f"one value for each of {batch_size} ids")


def nonfinite(loss: NDArray[np.float32], memory: NDArray[np.float32] | None = None) -> NDArray[np.bool_]:
    """bool, shape [M]: whether the loss, or the memory term if given, is NaN or infinite."""
    finite = np.isfinite(loss)
    return ~finite if memory is None else ~(finite & np.isfinite(memory))


def raise_nonfinite(ids: NDArray[np.int64]) -> None:
    """Raise the error that names non-finite samples; nothing for an empty array."""
    if len(ids):
        ids = np.unique(ids)
        shown = ", ".join(map(str, ids[:10].tolist())) + (", …" if len(ids) > 10 else "")
        raise NonFiniteError(
            f"loss or memory term is NaN or infinite for {len(ids)} sample(s), ids {shown}; allowed: finite values. "
            'Lower the learning rate or mend these samples, or build the pruner with on_nonfinite="quarantine".'
        )


def check_range(ids: NDArray[np.int64], num_samples: int) -> None:
    """Raise unless all ids are dataset positions."""
    low, high = (int(ids.min()), int(ids.max())) if len(ids) else (0, 0)
    if low < 0 or high >= num_samples:
        worst = low if low < 0 else high
        raise ArgumentError("ids", worst, f"dataset positions from 0 to {num_samples - 1}")


class Step(NamedTuple):
    """One step's values, copied: a compiled step or an in-place operation may overwrite the originals.

    Attributes:
        ids: int64, shape [B].
        values: float32, shape [2, B], loss and memory term, or [1, B] where there is none; detached.
    """

    ids: torch.Tensor
    values: torch.Tensor

    @classmethod
    def of(cls, ids: torch.Tensor, loss: torch.Tensor, memory: torch.Tensor | None) -> Step:
        """Copy the tensors; they stay on the loss's device."""
        # One operation for both: in a step, each one costs far more than its work on so few numbers.
        rows = (loss.detach(),) if memory is None else (loss.detach(), memory.detach().to(loss.device))
        return cls(ids.clone(), torch.stack(rows).float())

    @property
    def loss(self) -> torch.Tensor:
        """float32, shape [B]."""
        return self.values[0]

    @property
    def memory(self) -> torch.Tensor | None:
        """float32, shape [B], or None."""
        return self.values[1] if len(self.values) == 2 else None


@dataclass
class Collected:
    """An epoch's observations on the host, in the order in which they were made.

    Attributes:
        ids: int64, shape [M].
        loss: float32, shape [M].
        memory: float32, shape [M], NaN where a step gave none.
        trained: bool, shape [M]: went through backward, repetitions inside a batch marked once.
        step: int64, shape [M]: which forward pass it comes from, counted from the last flush on.
        planned: bool, shape [M]: reported by a training step, whether or not it went through backward.
    """

    ids: NDArray[np.int64]
    loss: NDArray[np.float32]
    memory: NDArray[np.float32]
    trained: NDArray[np.bool_]
    step: NDArray[np.int64]
    planned: NDArray[np.bool_]

    def rows(self, which: NDArray[np.int64]) -> Collected:
        """The observations at these places.

        Args:
            which: int64, shape [K], in [0, M).
        """
        return Collected(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def latest(self, usable: NDArray[np.bool_]) -> Collected:
        """The last usable observation of each sample, ids increasing.

        Args:
            usable: bool, shape [M].
        """
        backwards = np.flatnonzero(usable)[::-1]
        return self.rows(backwards[np.unique(self.ids[backwards], return_index=True)[1]])


@dataclass
class Pending:
    """Steps of the running epoch whose values still lie on their device."""

    _made: list[tuple[Step, torch.Tensor | bool, bool]] = field(default_factory=list)

    def add(self, step: Step, trained: bool | torch.Tensor, *, planned: bool) -> None:
        """Keep one step's values.

        Args:
            trained: all, none, or int64 positions within the batch that go through backward.
            planned: whether it is a training step.
        """
        size = len(step.ids)
        if isinstance(trained, torch.Tensor):
            trained = torch.zeros(size, dtype=torch.bool, device=trained.device).index_fill_(0, trained, True)
        # At once: Ctrl-C, and a dead worker's signal, may come between any two statements.
        self._made.append((step, trained, planned))

    def __len__(self) -> int:
        return len(self._made)

    @property
    def training_steps(self) -> int:
        """How many of the steps are training steps."""
        return sum(planned for *_, planned in self._made)

    def collect(self) -> Collected:
        """Bring everything to the host, in one transfer a column; ids are not checked yet."""
        steps = [step for step, *_ in self._made]
        ids = to_host([step.ids for step in steps], torch.int64)
        loss = to_host([step.loss for step in steps], torch.float32)
        memories = [torch.full_like(step.loss, torch.nan) if step.memory is None else step.memory for step in steps]
        memory = to_host(memories, torch.float32)
        sizes = [len(step.ids) for step in steps]
        masks = [
            torch.full((size,), part) if isinstance(part, bool) else part
            for (_, part, _), size in zip(self._made, sizes, strict=True)
        ]
        trained = to_host(masks, torch.bool)
        if has_repeats(ids):
            trained = trained & _first_in_batch(ids, sizes)
        planned = np.array([planned for *_, planned in self._made], dtype=bool)
        return Collected(
            ids, loss, memory, trained, np.repeat(np.arange(len(sizes)), sizes), np.repeat(planned, sizes)
        )  # fmt: skip

    def clear(self) -> None:
        """Forget all steps."""
        self._made.clear()


def has_repeats(ids: NDArray[np.int64]) -> bool:
    """Whether an id occurs twice. By sorting: np.unique hashes integers since NumPy 2.3, many times as slowly."""
    ordered = np.sort(ids)
    return bool((ordered[1:] == ordered[:-1]).any())


def to_host(columns: list[torch.Tensor], dtype: torch.dtype) -> NDArray[Any]:
    """Batches of one column as one array on the host, in one transfer."""
    if not columns:
        return torch.empty(0, dtype=dtype).numpy()
    if len({column.device for column in columns}) > 1:
        columns = [column.cpu() for column in columns]
    return torch.cat(columns).cpu().numpy()


def _first_in_batch(ids: NDArray[np.int64], batch_sizes: list[int]) -> NDArray[np.bool_]:
    """bool, shape [M]: whether an id stands for the first time in its batch."""
    batch = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    order = np.lexsort((ids, batch))  # stable: the first of equal pairs stays first
    same = (np.diff(batch[order]) == 0) & (np.diff(ids[order]) == 0)
    first = np.ones(len(ids), dtype=bool)
    first[order[1:][same]] = False
    return first
