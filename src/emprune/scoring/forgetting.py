"""Forgetting events (Toneva et al. 2019, arXiv:1812.05159), counted along training."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from emprune.checks import check_ids, check_range
from emprune.errors import ArgumentError, StateError


class Forgetting:
    """Counts how often each sample goes from being predicted right to being predicted wrong.

    A sample counts each time that it is presented for training, with the prediction that the batch's
    forward pass made before the step (algorithm 1 of the paper). Nothing waits for the device.

    Args:
        num_samples: N.
        device: where predictions arrive and the counts are kept.

    Attributes:
        events: int32, shape [N], on ``device``: times forgotten.
        presentations: int32, likewise: times presented.
        learned: bool, likewise: whether the sample was ever predicted right.
        right: bool, likewise: whether it was the last time.

    >>> seen = Forgetting(2)
    >>> for first, second in [(True, False), (False, False), (True, False), (False, False)]:
    ...     seen.update(torch.tensor([0, 1]), torch.tensor([first, second]))
    >>> seen.events.tolist(), seen.score().tolist()
    ([2, 0], [2.0, 4.0])
    """

    def __init__(self, num_samples: int, device: str | torch.device = "cpu") -> None:
        self.events = torch.zeros(num_samples, dtype=torch.int32, device=device)
        self.presentations = torch.zeros(num_samples, dtype=torch.int32, device=device)
        self.learned = torch.zeros(num_samples, dtype=torch.bool, device=device)
        self.right = torch.zeros(num_samples, dtype=torch.bool, device=device)

    def update(self, ids: torch.Tensor, correct: torch.Tensor) -> None:
        """Record one batch.

        Args:
            ids: int64, shape [B], distinct, in [0, N).
            correct: bool, shape [B]: whether the prediction was the label trained on.

        Raises:
            ArgumentError: shapes, dtypes or ids do not fit.
        """
        check_ids(ids)
        if correct.dtype != torch.bool or correct.shape != ids.shape:
            found = f"{correct.dtype} of shape {tuple(correct.shape)}"
            raise ArgumentError("correct", found, f"bool, one value for each of {len(ids)} ids")
        if ids.device.type == "cpu":
            check_range(ids.numpy(), len(self.events))
        device = self.events.device
        ids, correct = ids.to(device, non_blocking=True), correct.detach().to(device, non_blocking=True)
        self.events[ids] += self.right[ids] & ~correct
        self.presentations[ids] += 1
        self.learned[ids] |= correct
        self.right[ids] = correct

    def score(self) -> torch.Tensor:
        """float32, shape [N]; higher means forgotten more often, and is kept first.

        A sample that was never predicted right has, in the paper, an infinite number of events. Here it has
        the run's number of presentations, the largest of all samples, as in the authors' code: more than any
        sample can be forgotten, and finite.
        """
        most = self.presentations.max() if len(self.presentations) else self.presentations.sum()
        return torch.where(self.learned, self.events, most).float()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The four columns (copies)."""
        return {name: column.clone() for name, column in self._columns().items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on where ``state`` was taken.

        Raises:
            StateError: a column is missing or has another shape or dtype; nothing is changed then.
        """
        for name, column in self._columns().items():
            found = state.get(name)
            if found is None or found.shape != column.shape or found.dtype != column.dtype:
                what = "missing" if found is None else f"{found.dtype} of shape {tuple(found.shape)}"
                raise StateError(f"column {name!r} is {what}; needed: {column.dtype} of shape {tuple(column.shape)}.")
        for name, column in self._columns().items():
            column.copy_(state[name])

    def _columns(self) -> dict[str, torch.Tensor]:
        return {name: getattr(self, name) for name in ("events", "presentations", "learned", "right")}
