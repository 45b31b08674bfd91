"""The values of a step, held against what its policy reads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import torch

from emprune.checks import SCORING, check_per_sample
from emprune.distributed.world import World
from emprune.errors import ArgumentError, EmpruneWarning, RankError, did_you_mean
from emprune.policies.base import InBatchPolicy, Policy

StepValues = Mapping[str, torch.Tensor | None]
"""By name; None stands for a value that was not given."""

_COLUMNS = ("loss", "memory")  # of every score table
_TAKEN = ("ids", "epoch", "step", "trained", "is_train_step")  # arguments of a step, and other columns of observations
LOSS_ALONE = ("random", "lfl", "infobatch", "epsilon-greedy", "ucb", "orderdp", "repb", "scan", "seta")
"""Policies for any task: of a step they read the loss alone."""
_OTHERWISE = f"Policies that read the loss alone: {', '.join(LOSS_ALONE)}."
_HINTS = {
    "memory": f"Call pruner.loss(ids, *scored), scored by {SCORING}. Of any other task pass memory= yourself, a number "
    f"a sample that is high where the model has not settled. {_OTHERWISE}",
    "confidence": "Of a classification pass confidence=emprune.scoring.confidence(logits, labels); of any other task a "
    f"number in [0, 1] that is high where a sample is learnt, such as torch.exp(-loss.detach()). {_OTHERWISE}",
    "gradient_products": "Of a classification pass gradient_products=emprune.scoring.gradient_products(logits, labels, "
    "hidden); of any other task features @ features.T, of features or gradients [B, D] that stand for a sample; "
    f"emprune.Capture gives those of a model's layers. {_OTHERWISE}",
    "features": "Pass features=; emprune.Capture gives those of a model's layers.",
}


def check_inputs(policy: Policy) -> None:
    """Raise ArgumentError unless the names that a policy reads can be given in a step."""
    names = policy.inputs
    usable = isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)
    if not usable or set(names) & set(_TAKEN):
        raise ArgumentError(
            "inputs", names, f"a tuple of names other than {', '.join(_TAKEN)}",
            f"Rename what policy {policy.name!r} reads.",
        )  # fmt: skip


class StepInputs:
    """Which of a step's values a policy reads.

    Args:
        policy: reads them.
        has_memory: whether the run's earlier steps gave a memory term; None: there were none.

    Attributes:
        recorded: names of what is recorded of each sample: loss and memory term, and what else an epoch's policy reads.
        read: those of them that the policy reads, the loss first.
    """

    def __init__(self, policy: Policy, has_memory: bool | None = None) -> None:
        self._policy = policy
        further = tuple(name for name in policy.inputs if name not in _COLUMNS)
        self._of_batch = further if isinstance(policy, InBatchPolicy) else ()
        self.recorded = _COLUMNS if self._of_batch else _COLUMNS + further
        self.read = tuple(name for name in self.recorded if name in ("loss", *policy.inputs))
        self._known = {*_COLUMNS, *further}
        self._all_or_none = policy.memory_is_optional and "memory" in policy.inputs
        self._has_memory: bool | None = None
        if has_memory is not None:
            self._settle(has_memory)

    @property
    def has_memory(self) -> bool | None:
        """Whether steps give a memory term, where that is left to them; None before the first."""
        return self._has_memory

    def of_samples(self, values: StepValues, batch_size: int) -> dict[str, torch.Tensor]:
        """What is recorded of each sample, shape [B], detached; a memory term that no rule reads may be missing.

        Raises:
            ArgumentError: a value is missing, of another dtype or shape, or not one that the policy reads.
        """
        if not values.keys() <= self._known:
            name = next(name for name in values if name not in self._known)
            raise ArgumentError(
                name, "given", f"what policy {self._policy.name!r} reads, {self._listed}",
                did_you_mean(name, self._known)
                or 'Pass a value only if its name is in policy.inputs; "memory" may always be given.',
            )  # fmt: skip
        found = {}
        for name in self.recorded:
            value = values.get(name)
            if value is not None:
                check_per_sample(name, value, batch_size)
                found[name] = value.detach()
            elif name in self.read and not (name == "memory" and self._all_or_none):
                raise self._missing(name, f"one value for each of {batch_size} ids")
        if self._all_or_none and self._has_memory not in (None, "memory" in found):
            raise ArgumentError(
                "memory", "given" if "memory" in found else None,
                f"{'one value a sample' if self._has_memory else 'None'}, as in the steps before",
                f"Policy {self._policy.name!r} ranks samples of all steps by one score: give a memory term in all of "
                "them, or in none.",
            )  # fmt: skip
        return found

    def took(self, has_memory: bool) -> None:
        """Note, once a step is recorded, whether it had a memory term: the first one decides for the run."""
        if self._all_or_none and self._has_memory is None:
            self._settle(has_memory)
            if not has_memory:
                warnings.warn(
                    f"no memory term was given; {type(self._policy).__name__} ranks by the loss alone. See "
                    "emprune.scoring for losses with a memory term.",
                    EmpruneWarning,
                    stacklevel=2,
                )

    def agree(self, world: World) -> None:
        """Raise RankError on all ranks unless those that took steps agree on the memory term; all must call it."""
        if not self._all_or_none or world.size == 1:
            return
        here = np.array([-1 if self._has_memory is None else self._has_memory], dtype=np.int8)
        states = np.concatenate(world.all_gather_same_size(here)).tolist()
        if 0 in states and 1 in states:
            raise RankError(
                f"ranks disagree on memory: rank {states.index(1)} gave a memory term, rank {states.index(0)} none. "
                "Call pruner.loss with the same arguments on every rank."
            )
        if max(states) >= 0:
            self._settle(max(states) == 1)

    def _settle(self, has_memory: bool) -> None:
        self._has_memory = has_memory
        if self._all_or_none and not has_memory:
            self.read = tuple(name for name in self.read if name != "memory")

    def of_batch(self, values: StepValues, batch_size: int) -> dict[str, torch.Tensor]:
        """What else an in-batch policy reads, without gradient: floating point, shape [B, ...].

        Raises:
            ArgumentError: a value is missing, or of another dtype or length.
        """
        found = {}
        for name in self._of_batch:
            value, allowed = values.get(name), f"floating point of shape [{batch_size}, ...]"
            if value is None:
                raise self._missing(name, allowed)
            is_tensor = isinstance(value, torch.Tensor)
            if not is_tensor or not value.is_floating_point() or value.ndim == 0 or len(value) != batch_size:
                shown = f"{value.dtype} of shape {tuple(value.shape)}" if is_tensor else type(value).__name__
                raise ArgumentError(name, shown, f"{allowed}, for policy {self._policy.name!r}", _HINTS.get(name, ""))
            found[name] = value.detach()
        return found

    @property
    def _listed(self) -> str:
        return ", ".join(self._policy.inputs)

    def _missing(self, name: str, allowed: str) -> ArgumentError:
        reads = f"since policy {self._policy.name!r} reads {self._listed}"
        return ArgumentError(name, None, f"{allowed}, {reads}", _HINTS.get(name, ""))
