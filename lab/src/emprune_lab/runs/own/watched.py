"""A pruner that a user's loop trains with and that tells where the run stands: epochs, steps, loss and seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune import BatchSelection, Policy, Pruner
from emprune_lab.records.turns import Turns
from emprune_lab.runs.progress import Progress

_STATE, _TURNS = "lab.clock", "lab.turns"
_SECONDS_BETWEEN_PROGRESS = 0.5
_ON_A_DEVICE = 5.0  # there it waits for all steps under way


class WatchedPruner(Pruner):
    """A :class:`emprune.Pruner` with a clock, which runs from the first batch to the end of the last epoch.

    Args:
        num_samples, policy, settings: as of the pruner.
        watch: what is asked before each step, and told after it.

    Attributes:
        clock: seconds and losses of the loop; they travel with the pruner's state, so that those of a run that goes on
            from a checkpoint are those of all its sessions.
        turns: training counts after each finished epoch.
        device: of the last step's losses, which stands for the model's; the CPU before there is one.
    """

    def __init__(self, num_samples: int, policy: Policy | str, *, watch: Watch, **settings: Any) -> None:
        super().__init__(num_samples, policy, **settings)
        self.watch, self.clock, self.device = watch, Clock(), torch.device("cpu")
        self.turns = Turns()

    def rank_ids(self, batch_size: int | None = None, *, drop_last: bool = False) -> NDArray[np.int64]:
        """As of the pruner; what begins to iterate asks for it, and so starts the clock."""
        self.clock.start()
        return super().rank_ids(batch_size, drop_last=drop_last)

    def select_batch(
        self, ids: torch.Tensor, loss: torch.Tensor, memory: torch.Tensor | None = None, **values: torch.Tensor | None
    ) -> BatchSelection:
        """As of the pruner, whose :meth:`loss` calls it in every step."""
        self.clock.start()
        self.watch.before_step()  # the step before is whole then, with its update
        chosen = super().select_batch(ids, loss, memory, **values)
        self.device = loss.device
        self.clock.passed(loss)
        self.watch.after_step(self)
        return chosen

    def end_epoch(self, *, partial: bool = False) -> None:
        """As of the pruner; an epoch's seconds end when its last step is done on the device too."""
        super().end_epoch(partial=partial)
        synchronize(self.device)
        self.turns.after_epoch(self.epoch, self.table.times_trained)
        shown = {name: float(self.table.history(name)[self.epoch - 1]) for name in self.policy.shown}
        known = {name: value for name, value in shown.items() if math.isfinite(value)}
        self.clock.end_epoch(self.report().samples_backward, known, is_last=self.epoch >= self.num_epochs)

    def state_dict(self) -> dict[str, Any]:
        """As of the pruner, with the clock's and the turns."""
        return super().state_dict() | {_STATE: self.clock.state(), _TURNS: self.turns.kept}

    def load_state_dict(self, state: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Likewise."""
        super().load_state_dict(state, allow=allow)
        if _STATE in state:
            self.clock = Clock(**state[_STATE])
        self.turns = Turns(state.get(_TURNS, ()))


class Clock:
    """Seconds and losses of a user's loop.

    The seconds are the loop's own: what it does between two epochs, validation say, is in them; what comes before the
    first batch and after the last epoch is not.

    Args:
        before: seconds of earlier sessions.
        until_epoch: seconds at which the running epoch began.
        loss: sum of the running epoch's so far, nats.
        count: of them.
        history: one entry for each finished epoch: kept, loss (mean), seconds, and what the policy shows of it.

    Attributes:
        ended: when the last epoch did, as time.perf_counter() has it; None before, and where another session did it.
    """

    def __init__(
        self, before: float = 0.0, until_epoch: float = 0.0, loss: float = 0.0, count: int = 0,
        history: list[dict[str, float]] | None = None,
    ) -> None:  # fmt: skip
        self._before, self._until_epoch, self._loss, self._count = before, until_epoch, loss, count
        self.history = list(history or [])
        self.ended: float | None = None
        self._began: float | None = None
        self._on_device: torch.Tensor | None = None

    @property
    def seconds(self) -> float:
        """Of the loop so far, in all sessions, the making of plans included."""
        return self._before + (0.0 if self._began is None else time.perf_counter() - self._began)

    def start(self) -> None:
        """Run from now on, unless it runs already."""
        if self._began is None:
            self._began = time.perf_counter()

    def passed(self, loss: torch.Tensor) -> None:
        """Take in a step's losses, shape [B]; does not wait for the device."""
        summed = loss.detach().float().sum()
        # In this order, so that a run that goes on adds up to the same.
        self._on_device = (self._loss if self._on_device is None else self._on_device) + summed
        self._count += len(loss)

    def mean_loss(self) -> float:
        """Over the running epoch's passes so far, nats; waits for the device."""
        return self._summed() / max(1, self._count)

    def end_epoch(self, trained: int, shown: Mapping[str, float], *, is_last: bool) -> None:
        """Begin another epoch, or stop.

        Args:
            trained: samples that the run has sent through backward so far.
            shown: what the policy shows of the epoch.
        """
        seconds, kept = self.seconds, trained - sum(int(entry["kept"]) for entry in self.history)
        entry = {"kept": kept, "loss": self.mean_loss(), "seconds": seconds - self._until_epoch}
        self.history.append({**entry, **shown})
        self._until_epoch, self._loss, self._count, self._on_device = seconds, 0.0, 0, None
        if is_last:
            self._before, self._began, self.ended = seconds, None, time.perf_counter()

    def state(self) -> dict[str, Any]:
        """JSON values, from which another clock goes on."""
        return {
            "before": self.seconds, "until_epoch": self._until_epoch, "loss": self._summed(), "count": self._count,
            "history": [*self.history],
        }  # fmt: skip

    def _summed(self) -> float:
        return self._loss if self._on_device is None else float(self._on_device)


class Watch:
    """Asks before each step whether to stop, and tells now and then where the run stands.

    Args:
        epochs: E of a full run.
        before_step: may raise to stop.
        on_progress: called with where the run stands.
    """

    def __init__(self, epochs: int, before_step: Callable[[], None], on_progress: Callable[[Progress], None]) -> None:
        self._epochs, self.before_step, self._on_progress, self._told = epochs, before_step, on_progress, -math.inf

    def after_step(self, pruner: WatchedPruner) -> None:
        """Tell where the run stands, unless that was told a moment ago."""
        pause = _SECONDS_BETWEEN_PROGRESS if pruner.device.type == "cpu" else _ON_A_DEVICE
        if time.perf_counter() - self._told > pause:
            self._on_progress(self.progress_of(pruner))
            self._told = time.perf_counter()

    def progress_of(self, pruner: WatchedPruner) -> Progress:
        """Where the run stands; steps are counted in samples, since no one knows the loop's batch size."""
        done, epoch = pruner.report().samples_backward, min(pruner.epoch, pruner.num_epochs - 1)
        speed = done / max(pruner.clock.seconds, 1e-9)
        spared = pruner.num_samples * self._epochs - sum(pruner.kept)
        return Progress(
            epoch=epoch, epochs=pruner.num_epochs, kept=pruner.kept[epoch], num_samples=pruner.num_samples,
            step=done, total_steps=max(1, sum(pruner.kept)), loss=pruner.clock.mean_loss(), accuracy=None,
            samples_per_second=speed, seconds_saved=spared / max(speed, 1e-9),
        )  # fmt: skip


def synchronize(device: torch.device) -> None:
    """Wait for what an accelerator is still to do; there is nothing to wait for on the CPU."""
    if device.type == "cpu":
        return
    try:
        wait = torch.get_device_module(device).synchronize
    except (AttributeError, RuntimeError):  # a device without queues
        return
    wait()
