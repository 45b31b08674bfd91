"""Ranks that are threads: collectives without processes."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from emprune.distributed import World


class Together:
    """What the ranks of one group share."""

    def __init__(self, size: int) -> None:
        self.barrier, self.given = threading.Barrier(size), [None] * size


class Thread(World):
    """A rank that is a thread; a collective that another rank does not reach fails after 20 seconds."""

    def __init__(self, together: Together, rank: int, size: int) -> None:
        self.together, self.rank, self.size = together, rank, size

    def all_gather(self, column: Any) -> list[Any]:
        self.together.given[self.rank] = column
        self.together.barrier.wait(20)
        given = copy.deepcopy(self.together.given)  # the giver may write on
        self.together.barrier.wait(20)
        return given

    def all_reduce(self, counts: np.ndarray) -> np.ndarray:
        return np.sum(self.all_gather(counts), axis=0)

    def all_to_all(self, parts: list[np.ndarray]) -> list[np.ndarray]:
        return [given[self.rank] for given in self.all_gather(parts)]


def on_all_ranks(task: Any, size: int = 3) -> list[Any]:
    """What ``task(world)`` returns or raises on each rank."""
    together = Together(size)

    def run(rank: int) -> Any:
        try:
            return task(Thread(together, rank, size))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))
