"""What several tests build upon: generated scores, tables made of them, and a run without a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch.utils.data import Dataset

from emprune import IdBatches, Policy, Pruner, Request, ScoreTable
from emprune.epoch.plan import make_plan

HUGE = float(np.finfo(np.float32).max)
DENORMAL = float(np.float32(1e-45))
SPECIAL = [0.0, -0.0, 1.0, 0.5, HUGE, -HUGE, DENORMAL, -DENORMAL, np.inf, np.nan]


def make_scores(size: int, palette: int, seed: int) -> np.ndarray:
    """float32 scores of which about half come from the SPECIAL values whose bits ``palette`` has set.

    The others are of very unlike sizes, now and then arbitrary bit patterns.
    """
    rng = np.random.default_rng(seed)
    scores = rng.gamma(0.5, size=size) * 10.0 ** int(rng.integers(-40, 37))
    scores = np.minimum(scores, HUGE).astype(np.float32)
    if rng.random() < 0.2:
        scores = rng.integers(0, 2**32, size, dtype=np.uint32).view(np.float32).copy()
    special = [value for bit, value in enumerate(SPECIAL) if palette >> bit & 1]
    if special:
        chosen = rng.random(size) < rng.choice([0.5, 1.0])
        scores[chosen] = np.array(special, dtype=np.float32)[rng.integers(0, len(special), int(chosen.sum()))]
    scores[scores == -np.inf] = -HUGE  # -inf has no meaning in a table
    return scores


def score_arrays(most: int = 80) -> st.SearchStrategy[np.ndarray]:
    """Scores of 1 to ``most`` samples. Few plain integers underneath, so that thousands of cases are cheap."""
    return st.builds(make_scores, st.integers(1, most), st.integers(0, 2 ** len(SPECIAL) - 1), st.integers(0, 2**32))


def scores_and_k(most: int = 80) -> st.SearchStrategy[tuple[np.ndarray, int]]:
    """Scores of N samples, and how many to keep, 1 to N."""
    return st.builds(lambda scores, part: (scores, 1 + part % len(scores)), score_arrays(most), st.integers(0, 10**4))


def table_of(loss: np.ndarray, memory: np.ndarray | None = None, **extra: np.ndarray) -> ScoreTable:
    """A table with these last losses; +inf stands for never seen, NaN for quarantined."""
    table = ScoreTable(len(loss), dict.fromkeys(extra, 0.0))
    unseen = np.isposinf(loss)
    columns = {
        "loss": loss.astype(np.float32),
        "memory": np.zeros(len(loss), np.float32) if memory is None else memory.astype(np.float32),
        "last_seen": np.where(unseen, -1, 0).astype(np.int32),
        "times_trained": np.where(unseen, 0, 1).astype(np.int32),
        **{name: column.astype(np.float32) for name, column in extra.items()},
    }
    table.load_state_dict({name: torch.from_numpy(column) for name, column in columns.items()})
    return table


def loss_of(ids: torch.Tensor, epoch: int = 0) -> torch.Tensor:
    """A known positive loss of a sample, another one in each epoch."""
    return 0.1 + ((ids * 37 + epoch * 11) % 101).float() / 50


def memory_of(ids: torch.Tensor, epoch: int = 0) -> torch.Tensor:
    """A known memory term of a sample."""
    return ((ids * 13 + epoch * 7) % 29).float() / 29


def inputs_of(pruner: Pruner, ids: torch.Tensor, epoch: int) -> dict[str, torch.Tensor]:
    """Known values for all that the pruner's policy reads."""
    batch = torch.eye(len(ids)) + 0.1
    known = {"confidence": memory_of(ids, epoch), "gradient_products": batch, "features": batch}
    further = {name: value for name, value in known.items() if name in pruner.policy.inputs}
    return {"loss": loss_of(ids, epoch), "memory": memory_of(ids, epoch), **further}


def step(pruner: Pruner, ids: torch.Tensor) -> torch.Tensor:
    """Report a batch as a training step would."""
    return pruner.loss(ids, **inputs_of(pruner, ids, pruner.epoch))


def steps(pruner: Pruner, loader: Iterable[Any]) -> Iterator[tuple[int, list[int], list[float]]]:
    """Train what is left from a loader of positions; yield (epoch, ids, weights) after each step."""
    for epoch in pruner.epochs():
        weight_of = pruner.plan.weight_of
        for ids, (_, positions) in loader:
            assert ids.tolist() == positions.tolist()
            step(pruner, ids)
            yield epoch, ids.tolist(), weight_of[ids.numpy()].tolist()


def play(pruner: Pruner, batch_size: int = 7) -> Iterator[tuple[int, list[int], list[float]]]:
    """Train what is left of a run; yield (epoch, ids, weights) after each step."""
    for epoch in pruner.epochs():
        weights = pruner.plan.weight_of
        for ids in IdBatches(pruner, batch_size):
            step(pruner, ids)
            yield epoch, ids.tolist(), weights[ids.numpy()].tolist()


class Positions(Dataset):
    """A data set whose sample i is (a small tensor made of i, i)."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((2,), float(index)), index


LOSS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def chosen(
    policy: Policy, k: int, loss: np.ndarray = LOSS, memory: np.ndarray | None = None, epoch: int = 0
) -> set[int]:
    """The ids that a policy plans for, of samples with these last losses."""
    return set(make_plan(policy, Request(table_of(loss, memory), k, epoch, 10, 0)).ids.tolist())
