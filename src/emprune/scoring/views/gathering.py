"""Features of the ranks that train together, gathered with gradient: each rank's anchors see all ranks' candidates."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch.nn import functional as F

from emprune.compiling import outside_graphs
from emprune.errors import ArgumentError


class Ranks(NamedTuple):
    """The ranks that gather, and how many samples each has.

    Attributes:
        group: None: this process alone.
        sizes: samples of each rank, in the order of ranks.
        here: this process's place in ``sizes``.
    """

    group: dist.ProcessGroup | None
    sizes: tuple[int, ...]
    here: int

    @property
    def total(self) -> int:
        """Samples of all ranks."""
        return sum(self.sizes)

    @property
    def before(self) -> int:
        """Samples of the ranks before this one."""
        return sum(self.sizes[: self.here])


def meet(group: dist.ProcessGroup | None, first: torch.Tensor, widths: Sequence[int]) -> Ranks:
    """All-gather how many samples each rank has. A collective, if there are other ranks.

    Numbers travel between hosts where the group has a CPU backend (``gloo``, ``cpu:gloo,cuda:nccl``), and the host
    does not wait for the device. With ``nccl`` alone they travel between devices, and the host waits for them.

    Args:
        first: shape [B, D], any of the batch's features.
        widths: of each tensor that will be gathered.

    Raises:
        ArgumentError: this process is not in the group; or, on all ranks, widths differ between ranks.
    """
    if group is None:
        return Ranks(None, (len(first),), 0)
    return _meet(group, first, tuple(widths))


@outside_graphs
def _meet(group: dist.ProcessGroup, first: torch.Tensor, widths: tuple[int, ...]) -> Ranks:
    here = dist.get_rank(group)
    if here < 0:
        raise ArgumentError("group", "a process group without this process", "one that this process belongs to")
    count = dist.get_world_size(group)
    if count == 1:
        return Ranks(None, (len(first),), 0)
    on_host = "cpu:" in str(dist.get_backend_config(group))
    own = torch.tensor([len(first), zlib.crc32(repr(widths).encode())], device="cpu" if on_host else first.device)
    every = [torch.empty_like(own) for _ in range(count)]
    dist.all_gather(every, own, group=group)
    sizes, layouts = torch.stack(every).T.tolist()
    if len(set(layouts)) > 1:
        raise ArgumentError(
            "features", f"of widths {list(widths)} on rank {here}, and of others on other ranks",
            "as wide on every rank, projections first, then the hidden layers", "Call with the same layers everywhere.",
        )  # fmt: skip
    return Ranks(group, tuple(sizes), here)


def gather(views: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """Both views of all ranks' samples: rank by rank, in each the first views and then the second.

    Gradients of all ranks' losses come back to the rank whose features they belong to, summed.

    Args:
        views: shape [2B, D], first views and then second ones.

    Returns:
        Shape [2·ranks.total, D]; the argument itself where this process is alone.
    """
    return views if ranks.group is None else _gather(views, ranks)


@outside_graphs
def _gather(views: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    padded = F.pad(views, (0, 0, 0, 2 * max(ranks.sizes) - len(views)))
    parts: torch.Tensor = _AllGather.apply(padded, ranks.group, len(ranks.sizes), ranks.here)  # type: ignore[no-untyped-call]
    return torch.cat([part[: 2 * size] for part, size in zip(parts, ranks.sizes, strict=True)])


class _AllGather(torch.autograd.Function):
    """[n, D] of each rank as [ranks, n, D]. By public collectives that every backend has."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, group: dist.ProcessGroup, count: int, here: int) -> torch.Tensor:
        ctx.group, ctx.here = group, here
        parts = rows.new_empty(count, *rows.shape)
        dist.all_gather(list(parts.unbind(0)), rows.contiguous(), group=group)
        return parts

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[Any, ...]:
        slope = slope.contiguous().clone()
        dist.all_reduce(slope, group=ctx.group)
        return slope[ctx.here], None, None, None
