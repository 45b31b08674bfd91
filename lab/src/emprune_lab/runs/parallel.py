"""Ranks that train one run together: their parts of a batch, as arithmetic, and what they tell each other.

A spec's batch size is that of all ranks together. In a step each rank makes the same global batch ready, augmentation
included, and trains its rows of it; the gradients become those of the mean over the whole. So a run is the same
on any number of ranks up to rounding, but for three things:

- batch norm uses the statistics of each rank's own rows, as torch's DistributedDataParallel does; the running ones are
  rank 0's, in checkpoints and wherever the model evaluates;
- policies that choose within batches choose within each rank's rows;
- models that draw in a step (dropout) draw the same for the first row of every rank, for the second, and so on.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist

from emprune.distributed import ProcessGroup, World
from emprune.distributed.partition import part_of
from emprune.errors import ArgumentError

T = TypeVar("T")

PATIENCE = datetime.timedelta(days=30)
"""How long a rank waits for others: rank 0 may evaluate for hours, and it is torchrun that notices a dead rank."""


class Rows(NamedTuple):
    """What one rank trains of a global batch.

    Attributes:
        positions: int64, shape [B], rows of the global batch; B is the same on every rank.
        own: how many of them, from the first on, no earlier rank has. The others only fill the rank up.
    """

    positions: torch.Tensor
    own: int


def rows_of(total: int, ranks: int, rank: int) -> Rows:
    """One rank's rows of a global batch of ``total`` samples, as :mod:`emprune.distributed.partition` deals them out.

    >>> [rows_of(3, ranks=2, rank=rank).positions.tolist() for rank in (0, 1)], rows_of(3, ranks=2, rank=1).own
    ([[0, 1], [2, 0]], 1)
    """
    part = part_of(0, total, -(-total // ranks), ranks, rank)
    return Rows(torch.from_numpy(part.positions), len(part.positions) - part.repeats)


def per_rank(batch_size: int, ranks: int) -> int:
    """Samples of each rank in a step of ``batch_size`` samples.

    Raises:
        ArgumentError: the ranks cannot share them evenly.

    >>> per_rank(128, 4)
    32
    """
    if batch_size % ranks:
        raise ArgumentError(
            "batch_size", batch_size, f"a multiple of {ranks}, the ranks that share each batch",
            "Change --batch-size, or the number of processes that torchrun starts.",
        )  # fmt: skip
    return batch_size // ranks


def without_tail(loss: torch.Tensor, count: int) -> torch.Tensor:
    """The same values [B], of which those behind the first ``count`` pass no gradient on."""
    return loss if count == len(loss) else torch.cat([loss[:count], loss[count:].detach()])


class Ranks:
    """A process alone; :class:`ProcessRanks` for several.

    Attributes:
        rank: of this process, from 0. size: number of ranks.
        world: the same, as a pruner wants to know it.
    """

    rank, size = 0, 1
    world = World()

    @property
    def first(self) -> bool:
        """Whether this is the rank that evaluates, writes and speaks."""
        return self.rank == 0

    def mean_gradients(
        self, parameters: Iterable[torch.Tensor], divisor: int, counted: int, sums: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Turn each rank's gradients into those of the mean over all ranks' samples; add up further numbers.

        Args:
            parameters: their gradients are of a sum over this rank's samples divided by ``divisor``.
            counted: samples that went into the sum.
            sums: scalars on the parameters' device.

        Returns:
            The sums over all ranks.
        """
        return list(sums)

    def from_first(self, work: Callable[[], T]) -> T:
        """What ``work`` gives on rank 0, where alone it is done; what it raises there is raised on every rank."""
        return work()

    def any_of(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on any rank."""
        return list(flags)

    def as_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Make the tensors those of rank 0."""


class ProcessRanks(Ranks):
    """The ranks of torch.distributed's default process group.

    What is said about the run goes through gloo, so that no step waits for a device.
    """

    def __init__(self) -> None:
        self.world = ProcessGroup()
        self.rank, self.size = self.world.rank, self.world.size
        self._control = None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo", timeout=PATIENCE)

    @torch.no_grad()
    def mean_gradients(
        self, parameters: Iterable[torch.Tensor], divisor: int, counted: int, sums: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """As of :class:`Ranks`, in one collective."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        present = [parameter.grad is not None for parameter in trained]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained]
        numbers = torch.tensor([counted, *present], dtype=torch.float32).to(trained[0].device, non_blocking=True)
        parts = [*(gradient.reshape(-1) * divisor for gradient in gradients), numbers, torch.stack(list(sums))]
        sizes = [part.numel() for part in parts]
        whole = torch.cat([part.float() for part in parts])
        dist.all_reduce(whole)
        *means, numbers, summed = torch.split(whole, sizes)
        # A rank without a share of the batch has no gradient; it learns which parameters the others have one of.
        there = present if any(present) else (numbers[1:] > 0).tolist()
        for parameter, gradient, mean, is_there in zip(trained, gradients, means, there, strict=True):
            if is_there:
                parameter.grad = gradient.copy_((mean / numbers[0]).view_as(gradient))
        return list(summed.unbind())

    def from_first(self, work: Callable[[], T]) -> T:
        """As of :class:`Ranks`."""
        message: list[Any] = [None]
        if self.first:
            try:
                message = [(work(), None)]
            except Exception as error:
                dist.broadcast_object_list([(None, (type(error), str(error)))], group=self._control)
                raise
        dist.broadcast_object_list(message, group=self._control)
        value, raised = message[0]
        if raised is not None:
            kind, text = raised
            # Not by the constructor, which may ask for other arguments than the message.
            raise kind.__new__(kind, text)
        return value  # type: ignore[no-any-return]

    def any_of(self, *flags: bool) -> list[bool]:
        """As of :class:`Ranks`."""
        told = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(told, dist.ReduceOp.MAX, group=self._control)
        return [bool(flag) for flag in told.tolist()]

    def as_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """As of :class:`Ranks`."""
        for tensor in tensors:
            sent = tensor.detach().contiguous()
            dist.broadcast(sent, src=0)
            tensor.detach().copy_(sent)
