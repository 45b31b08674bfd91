"""What a training step reports: checked on arrival without waiting for the device, kept there for an epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import NonFiniteError
from emprune.table import Observations, has_repeats

OnNonFinite = Literal["error", "quarantine"]


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
            'Lower the learning rate or fix these samples, or build the pruner with on_nonfinite="quarantine".'
        )


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
class ObservationBuffer:
    """Steps of the running epoch whose values still lie on their device."""

    _made: list[tuple[Step, torch.Tensor | bool, bool]] = field(default_factory=list)

    def add(self, step: Step, trained: bool | torch.Tensor, *, is_train_step: bool) -> None:
        """Keep one step's values.

        Args:
            trained: all, none, or int64 positions within the batch that go through backward.
            is_train_step: whether it is a training step.
        """
        size = len(step.ids)
        if isinstance(trained, torch.Tensor):
            trained = torch.zeros(size, dtype=torch.bool, device=trained.device).index_fill_(0, trained, True)
        # At once: Ctrl-C, and a dead worker's signal, may come between any two statements.
        self._made.append((step, trained, is_train_step))

    def __len__(self) -> int:
        return len(self._made)

    @property
    def training_steps(self) -> int:
        """How many of the steps are training steps."""
        return sum(is_train_step for *_, is_train_step in self._made)

    def collect(self) -> Observations:
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
        is_train_step = np.array([is_train_step for *_, is_train_step in self._made], dtype=bool)
        return Observations(
            ids, loss, memory, trained, np.repeat(np.arange(len(sizes)), sizes), np.repeat(is_train_step, sizes)
        )  # fmt: skip

    def clear(self) -> None:
        """Forget all steps."""
        self._made.clear()


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
