"""PrunedLoader as a torchdata StatefulDataLoader, for training code that saves its loader's state.

Such a loader counts the batches that it gave out; the pruner counts the samples that training steps consumed,
and its state alone decides where an epoch goes on. So save and load both, the pruner first: a batch that was given
out but not trained (a framework that prefetches) comes again, and none comes twice.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

from torch.utils.data import DataLoader, Dataset

from emprune.errors import ArgumentError, EmpruneError, StateError
from emprune.integrations.rounds import Rounds
from emprune.loader import PlanSampler, check_not_dealt, loader_arguments, seed_workers
from emprune.pruner import Pruner


def stateful_loader(
    dataset: Dataset[Any],
    pruner: Pruner,
    batch_size: int = 1,
    *,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    **options: Any,
) -> DataLoader[Any]:
    """A StatefulDataLoader over the running epoch's plan; yields ``(ids, batch)``.

    Its state may be loaded with another ``num_workers``; what a data set keeps in its workers (its own
    ``state_dict``) is carried over only where the number is the same.

    Args:
        dataset, pruner, batch_size, collate_fn, options: as for :class:`emprune.PrunedLoader`.

    Returns:
        The loader, with ``state_dict`` and ``load_state_dict``. Loading, and then iterating, raises StateError
        where the pruner was not restored.

    Raises:
        ArgumentError: as PrunedLoader; or ``snapshot_every_n_steps`` is given, which would skip batches.
        EmpruneError: the package torchdata is missing.
    """
    arguments = loader_arguments(dataset, pruner, batch_size, collate_fn, _StatefulPlanSampler, options)
    if arguments.setdefault("snapshot_every_n_steps", 1) != 1:
        raise ArgumentError("snapshot_every_n_steps", options["snapshot_every_n_steps"], "1, or leave it out")
    loader: DataLoader[Any] = _loader_class()(**arguments)
    return loader


class _StatefulPlanSampler(PlanSampler):
    """Has a state, so that the loader does not skip what the restored pruner leaves out anyway."""

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.pruner.epoch, "consumed": self.pruner.consumed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        epoch, consumed = self.pruner.epoch, 0
        if epoch == state["epoch"]:
            consumed = self.pruner.start
        if (epoch, consumed) < (state["epoch"], state["consumed"]):
            raise StateError(
                f"the loader's state is of epoch {state['epoch']} after {state['consumed']} samples, but the pruner "
                f"stands in epoch {epoch} after {consumed}. Restore the pruner's state of the same step first."
            )


@cache
def _loader_class() -> Any:
    try:
        base: Any = importlib.import_module("torchdata.stateful_dataloader").StatefulDataLoader
    except ImportError as error:
        raise EmpruneError(
            "stateful_loader needs the package torchdata, which is not installed: pip install torchdata"
        ) from error

    class StatefulPrunedLoader(base):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self._rounds = Rounds(self.sampler.pruner)

        def __iter__(self) -> Any:
            self._rounds.begins()
            seed_workers(self.generator, self.sampler.pruner)
            return self._whole_round(super().__iter__())

        def _whole_round(self, batches: Any) -> Any:
            yield from batches
            self._rounds.ends()

        @property
        def _is_accelerate_prepared(self) -> bool:
            return check_not_dealt(self.sampler.pruner)

        def state_dict(self) -> dict[str, Any]:
            seed_workers(self.generator, self.sampler.pruner)  # it may make the iterator
            return {"num_workers": self.num_workers, "loader": super().state_dict()}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            same = state_dict["num_workers"] == self.num_workers
            super().load_state_dict(state_dict["loader"] if same else {})

    return StatefulPrunedLoader
