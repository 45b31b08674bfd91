"""BatchPruner: choose inside each batch of a stream, by fresh values, at a rate that is exact over the whole stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from emprune.checks import SCORING, integer, kind_of
from emprune.compiling import outside_graphs
from emprune.distributed.world import World, check_agreement, check_current, current_world, raise_together
from emprune.epoch.inputs import StepInputs, check_inputs
from emprune.epoch.observations import OnNonFinite
from emprune.errors import ArgumentError, StateError
from emprune.policies.base import BatchSelection, Policy
from emprune.policies.registry import as_policy
from emprune.seeding import derive_seed
from emprune.state import policy_identity
from emprune.stream.choice import check_streams, choose
from emprune.stream.parts import part_of
from emprune.stream.shares import StreamShares

T = TypeVar("T")
Scored = torch.Tensor | tuple[torch.Tensor, ...] | Mapping[str, torch.Tensor]
"""What a scoring function gives: the losses of samples, or losses and memory terms, or values by name."""

SCHEMA_VERSION = 1
_COUNTERS = ("batches", "samples_forward", "samples_backward")


class BatchPruner:
    """Decides, batch by batch of a stream, which samples go through backward, from a forward pass without gradient.

    A stream has no ids that could be asked for, and no epochs: a large batch is forwarded, a part of it trained.

        pruner = BatchPruner("emp", prune_rate=0.7)
        for images, labels in loader:  # large batches
            loss = pruner.loss(lambda x, y: classification(model(x), y), images, labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    The rate is exact over a stream whose length nobody knows: after any number of batches, (1 - r)·n of n samples,
    rounded to the nearest whole number, have been trained; see :mod:`emprune.stream.shares`. On several ranks each
    chooses in its own stream, and where all have seen as many samples the sum is as exact. A batch costs a forward pass
    of B samples and a forward and backward pass of the chosen ones.

    Args:
        policy: "emp" (the default: loss + β·entropy, drawn in proportion to its square), another policy that chooses by
            a batch's own values (``random``, ``lfl``, ``infobatch``, ``orderdp``), an in-batch policy
            (``selective-backprop``, ``divbs``), or one of your own.
        prune_rate: r in [0, 1), the fraction of the samples that is left out of backward.
        seed: decides every random choice, together with the rank and the number of the batch.
        on_nonfinite: what a NaN or infinite loss does: "error", or "quarantine", which takes such samples last.
        world: the ranks that train together; None: those of the default process group, if it is running.

    Attributes:
        policy: the policy object.
        prune_rate: as given.
        seed: as given.
        on_nonfinite: as given.
        world: the ranks that train together.
        batches: how many this rank has chosen from.
        samples_forward: that came, on this rank.
        samples_backward: that were chosen, on this rank.

    Raises:
        ArgumentError: a value is out of range, or the policy needs epochs.
        RankError: ranks disagree on an argument.

    >>> pruner = BatchPruner("random", prune_rate=0.7)
    >>> len(pruner.select(torch.rand(64)).positions), pruner.samples_backward
    (19, 19)
    """

    def __init__(
        self,
        policy: Policy | str = "emp",
        *,
        prune_rate: float,
        seed: int = 0,
        on_nonfinite: OnNonFinite = "error",
        world: World | None = None,
    ) -> None:
        self.policy, self.seed = as_policy(policy), integer("seed", seed)
        check_inputs(self.policy)
        check_streams(self.policy)
        if on_nonfinite not in ("error", "quarantine"):
            raise ArgumentError("on_nonfinite", on_nonfinite, "'error' or 'quarantine'")
        self.on_nonfinite = on_nonfinite
        self.world, self._is_default_world = world or current_world(), world is None
        self._shares = StreamShares(prune_rate, self.world.rank, self.world.size)
        self.prune_rate = self._shares.prune_rate
        self._inputs = StepInputs(self.policy)
        self.batches = self.samples_forward = self.samples_backward = 0
        self.fingerprint = {
            **policy_identity(self.policy), "prune_rate": self.prune_rate, "seed": self.seed, "ranks": self.world.size
        }  # fmt: skip
        check_agreement(self.world, {**self.fingerprint, "on_nonfinite": on_nonfinite})

    def __repr__(self) -> str:
        done = f"{self.samples_backward} of {self.samples_forward} samples trained in {self.batches} batches"
        return f"BatchPruner({self.policy.name}, rate {self.prune_rate:g}, {done})"

    @outside_graphs
    def select(
        self, loss: torch.Tensor, memory: torch.Tensor | None = None, **values: torch.Tensor | None
    ) -> BatchSelection:
        """Choose which of a batch's samples go through backward, and with which weight.

        Args:
            loss: floating point, shape [B], in nats, per sample; a gradient is not used.
            memory: floating point, shape [B], the memory term; only policies that read it need it, EMP does without.
            values: what else an in-batch policy reads, as ``gradient_products=``, [B, B], for DivBS.

        Returns:
            Positions, int64, shape [b], on the loss's device, and weights, float32, shape [b] or None, for ones. The
            shares b of all batches add up exactly; b is 0 where a batch is smaller than 1/(1 - r).

        Raises:
            ArgumentError: shapes or dtypes do not fit, a value that the policy reads is missing, or the first batch is
                so small that most of its like would train nothing.
            NonFiniteError: a value is NaN or infinite (on_nonfinite="error").
            RankError: a process group was started after this pruner was built.
        """
        if self._is_default_world:
            check_current(self.world)
        if not isinstance(loss, torch.Tensor) or not loss.is_floating_point() or loss.ndim != 1:
            raise ArgumentError(
                "loss", kind_of(loss), "floating point of shape [B], one loss a sample",
                f'Do not reduce it: torch\'s losses take reduction="none". Or take {SCORING}: select(*scored).',
            )  # fmt: skip
        size = len(loss)
        inputs = self._inputs.of_samples({"loss": loss, "memory": memory, **values}, size)
        inputs = {name: value.detach().to(loss.device) for name, value in inputs.items()}
        inputs |= self._inputs.of_batch(values, size)
        self._check_size(size)
        k = self._shares.of_next(self.samples_forward, size)
        seed = derive_seed(self.seed, self.world.rank, "stream of a rank")
        chosen = choose(self.policy, inputs, k, seed, self.batches, self.on_nonfinite)
        self._inputs.took("memory" in inputs)
        self.batches, self.samples_forward = self.batches + 1, self.samples_forward + size
        self.samples_backward += k
        return chosen

    def loss(self, score: Callable[..., Scored], *batch: Any) -> torch.Tensor:
        """Forward a batch without gradient, choose, forward the chosen samples with gradient: their mean loss.

        Each one's loss counts times its weight, divided by their number. Where the batch's share is none, it is the
        loss of one sample times 0, so that every rank has a backward pass in every step.

        Args:
            score: called as ``score(*batch)`` on the whole batch and on the chosen part of it; returns the samples'
                losses, or losses and memory terms as the functions of :mod:`emprune.scoring` do, or a dict by name of
                what the policy reads. A model in training mode is so in both passes: dropout draws anew, and running
                statistics (batch norm) count both.
            batch: tensors of shape [B, ...], and dicts, lists and tuples of these; see
                :func:`emprune.stream.parts.part_of`.

        Returns:
            A scalar to call ``backward`` on.

        Raises:
            ArgumentError, NonFiniteError: as :meth:`select`; or a part of the batch has another length.
        """
        with torch.no_grad():
            values = _by_name(score(*batch))
        chosen, size = self.select(**values), len(values["loss"])
        positions = chosen.positions
        is_empty = positions is None or not len(positions)
        if positions is None or is_empty:
            positions = torch.zeros(1, dtype=torch.int64)
        losses = _by_name(score(*part_of(batch, positions, size)))["loss"]
        if self.on_nonfinite == "quarantine":
            losses = torch.where(torch.isfinite(losses), losses, 0.0)
        if is_empty:
            return losses.sum() * 0
        if chosen.weights is not None:
            losses = losses * chosen.weights.to(losses.dtype)
        return losses.mean()

    def together(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches of this rank's stream, until the first rank has none left: as many updates on all of them.

        Ranks' parts of a stream are seldom equally long, and one that goes on alone would wait for the others'
        gradients for ever. It costs a number exchanged before each batch; on one rank nothing. All ranks must iterate.
        """
        if self.world.size == 1:
            yield from batches
            return
        for batch in batches:
            if not self._all_have(True):
                return
            yield batch
        self._all_have(False)

    @property
    def realised_rate(self) -> float:
        """1 - samples through backward over samples that came, on this rank; 0 before the first."""
        return 1 - self.samples_backward / self.samples_forward if self.samples_forward else 0.0

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which a later pruner of the same rank goes on; save the loader's state of the same step too.

        The remainder of the rate, and what comes next of random numbers, follow from the counts.
        """
        counters = {name: getattr(self, name) for name in _COUNTERS}
        return {
            "schema_version": SCHEMA_VERSION, "fingerprint": dict(self.fingerprint), "rank": self.world.rank,
            "counters": counters, "has_memory": self._inputs.has_memory,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken, on the same rank. All ranks must call it, and all raise where one does.

        Raises:
            StateError: it was saved with other settings, by another rank, or is malformed; nothing is changed.
        """
        failure: Exception | None = None
        try:
            counters = _checked(state, self.fingerprint, self.world.rank)
        except StateError as error:  # the other ranks must not wait for this one
            failure = error
        raise_together(self.world, failure)
        for name, count in counters.items():
            setattr(self, name, count)
        self._inputs = StepInputs(self.policy, state.get("has_memory"))

    def _all_have(self, has: bool) -> bool:
        return all(part[0] for part in self.world.all_gather_same_size(np.array([has])))

    def _check_size(self, size: int) -> None:
        least = 1 if self.batches else self._shares.least_batch  # a stream's last batch may be a small one
        if size < least:
            raise ArgumentError(
                "loss", f"of a batch of {size}", f"of at least {least} samples at a prune rate of {self.prune_rate:g}",
                "Smaller batches mostly train nothing. Let the loader make larger ones: of most samples there is a "
                "forward pass without gradient alone, which takes little memory.",
            )  # fmt: skip


def _by_name(scored: Any) -> dict[str, torch.Tensor]:
    """What a scoring function returned, by the names of :meth:`BatchPruner.select`."""
    if isinstance(scored, Mapping) and "loss" in scored:
        return dict(scored)
    if isinstance(scored, torch.Tensor):
        return {"loss": scored}
    if isinstance(scored, tuple) and 1 <= len(scored) <= 2:
        return dict(zip(("loss", "memory"), scored, strict=False))
    raise ArgumentError(
        "score", f"a function that returned {type(scored).__name__}",
        'one that returns losses of shape [B], (losses, memory terms), or a dict with "loss"',
        f"For instance lambda images, labels: classification(model(images), labels), by {SCORING}.",
    )  # fmt: skip


def _checked(state: Any, fingerprint: Mapping[str, Any], rank: int) -> dict[str, int]:
    """The counters of a state that fits."""
    version = state.get("schema_version") if isinstance(state, Mapping) else None
    if type(version) is not int or version != SCHEMA_VERSION:
        found = state.get("schema_version") if isinstance(state, Mapping) else type(state).__name__
        raise StateError(
            f"the state is of schema_version {found!r}; allowed: what BatchPruner.state_dict() of version "
            f"{SCHEMA_VERSION} gave (a Pruner's state goes into a Pruner)."
        )
    saved, counters = state.get("fingerprint"), state.get("counters")
    has_memory_fits = any(state.get("has_memory", "") is allowed for allowed in (None, True, False))
    if not isinstance(saved, Mapping) or not isinstance(counters, Mapping) or not has_memory_fits:
        raise StateError("the state is incomplete; allowed: what BatchPruner.state_dict() gave.")
    for name, here in fingerprint.items():
        if saved.get(name) != here:
            raise StateError(
                f"{name} is {here!r} here, but the state was saved with {saved.get(name)!r}. Build the pruner as it "
                "was when saving, on as many ranks, or start a new run."
            )
    if state.get("rank") != rank:
        raise StateError(
            f"the state is of rank {state.get('rank')!r}, this is rank {rank}. Give each rank the state that it saved "
            "itself, and its loader's."
        )
    found = {name: count for name in _COUNTERS if type(count := counters.get(name)) is int and count >= 0}
    if len(found) < len(_COUNTERS) or found["samples_backward"] > found["samples_forward"]:
        raise StateError(f"the state's counters are {dict(counters)!r}; allowed: whole numbers {', '.join(_COUNTERS)}.")
    return found
