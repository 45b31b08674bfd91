"""Under torchrun: which rank this process is, how it joins the others, and that rank 0 alone speaks for all."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from emprune.errors import ArgumentError
from emprune_lab.runs.parallel import PATIENCE, ProcessRanks, Ranks

_SPEAKING_TIME = datetime.timedelta(seconds=20)
_SPOKEN = "rank 0 has said what it has to say"


class Launch:
    """A process's part in a launch by torchrun, or a process alone where it was started without.

    A rank that ends with an error makes torchrun stop the others at once, rank 0 perhaps before it has said a word.
    Hence :meth:`leave`, by which the others wait for it.

    Attributes:
        rank, size: as of torch.distributed. local_rank: which of this machine's ranks.
        heard: whether rank 0 has said what there is to say; known once :meth:`leave` was called.
    """

    def __init__(self) -> None:
        self.rank, self.size, self.local_rank, self.heard = 0, 1, 0, True
        self._store: Any = None
        if dist.is_available() and dist.is_torchelastic_launched():
            self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
            self.local_rank = int(os.environ["LOCAL_RANK"])
        if self.size > 1:
            self._store = next(dist.rendezvous("env://"))[0]  # type: ignore[attr-defined]

    @property
    def prefix(self) -> str:
        """What stands before "emprune ..." in the command that starts the same again."""
        if self.size == 1:
            return "emprune"
        machines, here = os.environ.get("GROUP_WORLD_SIZE", "1"), os.environ.get("LOCAL_WORLD_SIZE", str(self.size))
        nodes = "" if machines == "1" else f"--nnodes {machines} "
        return f"torchrun {nodes}--nproc-per-node {here} -m emprune"

    def device(self, name: str) -> str:
        """The device of this rank: of "cuda" the one of its local rank.

        Raises:
            ArgumentError: there is none for it, or a single device is named for several ranks.
        """
        kind, _, index = name.partition(":")
        if self.size == 1 or kind == "cpu":
            return name
        if kind != "cuda" or index:
            raise ArgumentError("device", name, "cpu, or cuda for each rank's own, where several ranks train")
        if self.local_rank >= (found := torch.cuda.device_count()):
            raise ArgumentError("device", name, f"at most {found} processes a machine, one for each of its devices")
        return f"cuda:{self.local_rank}"

    def join(self, device: str) -> Ranks:
        """Meet the other ranks, through nccl on devices and gloo otherwise.

        Args:
            device: from :meth:`device`.
        """
        if self._store is None:
            return Ranks()
        on_device = device.startswith("cuda")
        if on_device:
            torch.cuda.set_device(device)
        apart = dist.PrefixStore("ranks", self._store)  # type: ignore[attr-defined]
        dist.init_process_group(
            "nccl" if on_device else "gloo", store=apart, rank=self.rank, world_size=self.size, timeout=PATIENCE
        )  # fmt: skip
        return ProcessRanks()

    def leave(self) -> None:
        """Say that rank 0 has spoken, or wait a while until it has; then leave the group, if joined."""
        store, self._store = self._store, None
        if store is None:
            return
        try:
            if self.rank == 0:
                store.set(_SPOKEN, b"yes")
            else:
                store.wait([_SPOKEN], _SPEAKING_TIME)
        except RuntimeError:  # rank 0 waits for this one, or torchrun itself is gone
            self.heard = False
        if dist.is_initialized():
            dist.destroy_process_group()


@contextmanager
def launched() -> Iterator[Launch]:
    """The process's launch, left in the end whatever happens."""
    launch = Launch()
    try:
        yield launch
    finally:
        launch.leave()
