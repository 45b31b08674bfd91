"""Streams of torchdata and Hugging Face, stopped anywhere and gone on with their own state beside the pruner's."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from emprune import BatchPruner

pytest.importorskip("torchdata")
datasets = pytest.importorskip("datasets")
# torchdata 0.11 calls what torch 2.13 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")

N, BATCH = 203, 20


class Numbers(IterableDataset[Any]):
    """0 to N - 1, dealt out among the workers; nobody knows how many there are."""

    def __init__(self) -> None:
        self.next = 0

    def __iter__(self) -> Iterator[float]:
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        while first + step * self.next < N:
            self.next += 1
            yield float(first + step * (self.next - 1))

    def state_dict(self) -> dict[str, int]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.next = state["next"]


def loss_of(numbers: torch.Tensor) -> torch.Tensor:
    return 1 + torch.sin(numbers * 12.9898) ** 2


def trained(pruner: BatchPruner, loader: Any) -> Iterator[list[float]]:
    for batch in loader:
        numbers = batch["x"] if isinstance(batch, dict) else batch
        chosen = pruner.select(loss_of(numbers), loss_of(numbers + 1))
        yield numbers[chosen.positions].tolist()


def parquet(folder: Path) -> Any:
    """A Hugging Face stream of four files on local disk."""
    files = []
    for shard in range(4):
        rows = {"x": [float(x) for x in range(shard * 51, min(N, shard * 51 + 51))]}
        files.append(str(folder / f"{shard}.parquet"))
        datasets.Dataset.from_dict(rows).to_parquet(files[-1])
    return datasets.load_dataset(
        "parquet", data_files=files, split="train", streaming=True, cache_dir=str(folder / "cache")
    ).with_format("torch")


def loader_of(kind: str, folder: Path) -> Any:
    from torchdata.stateful_dataloader import StatefulDataLoader

    stream = parquet(folder) if kind == "hugging face" else Numbers()
    return StatefulDataLoader(stream, batch_size=BATCH, num_workers=2 if kind == "workers" else 0)


@pytest.mark.parametrize("kind", ["plain", "workers", "hugging face"])
def test_stopped_again_and_again_with_the_loaders_own_state(kind: str, tmp_path: Path) -> None:
    expected = list(trained(BatchPruner(prune_rate=0.7, seed=1), loader_of(kind, tmp_path)))
    assert sum(map(len, expected)) == round(0.3 * N)
    done: list[list[float]] = []
    states: Any = None
    for length in (1, 3, 2, 100):
        pruner, loader = BatchPruner(prune_rate=0.7, seed=1), loader_of(kind, tmp_path)
        if states:
            pruner.load_state_dict(states[0])
            loader.load_state_dict(states[1])
        for row in itertools.islice(trained(pruner, loader), length):
            done.append(row)
            states = pickle.loads(pickle.dumps((pruner.state_dict(), loader.state_dict())))
    assert done == expected


def test_hugging_faces_state_of_the_stream_itself(tmp_path: Path) -> None:
    """A plain DataLoader has no state; without workers that of the stream says how far it has come."""
    expected = list(trained(BatchPruner(prune_rate=0.7), DataLoader(parquet(tmp_path), batch_size=BATCH)))
    stream, pruner = parquet(tmp_path), BatchPruner(prune_rate=0.7)
    done = list(itertools.islice(trained(pruner, DataLoader(stream, batch_size=BATCH)), 4))
    states = copy.deepcopy((pruner.state_dict(), stream.state_dict()))
    again, rest = BatchPruner(prune_rate=0.7), parquet(tmp_path)
    again.load_state_dict(states[0])
    rest.load_state_dict(states[1])
    assert done + list(trained(again, DataLoader(rest, batch_size=BATCH))) == expected


def test_a_stream_that_is_read_by_one_rank_alone_is_pruned_too() -> None:
    pruner = BatchPruner("random", prune_rate=0.9)
    assert sum(map(len, trained(pruner, DataLoader(Numbers(), batch_size=BATCH)))) == round(0.1 * N)
