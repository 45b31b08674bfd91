"""Real gloo processes that gather each other's views; started by test_gathering.py, never by pytest.

python views_at_work.py FOLDER     one JSON file a rank in FOLDER: {scenario: outcome}
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from emprune import ArgumentError
from emprune.scoring import contrastive, ntxent, similarity_entropy

RANKS, WIDTH = 2, 3
SHARES = {"alike": (3, 3), "unlike": (1, 4)}
OPTIONS: dict[str, Any] = {"memory_temperature": 0.2, "chunk_size": 3}


def data(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """float32, shape [size, WIDTH] each: two views of every sample."""
    first, second = torch.randn(2, size, WIDTH, generator=torch.Generator().manual_seed(size))
    return first, second


def new_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, 4))


def own(shares: tuple[int, ...], rank: int) -> slice:
    """The samples of a rank among all."""
    return slice(sum(shares[:rank]), sum(shares[: rank + 1]))


def layers(first: torch.Tensor, second: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Hidden features of two layers, of unlike widths."""
    return [(first.sin(), second.sin()), (first[:, :2] + 1, second[:, :2] + 1)]


def scored(rank: int, shares: tuple[int, ...], memory: str) -> dict[str, Any]:
    """Values of this rank's samples, and its features' share of the gradient of all ranks' losses."""
    here = own(shares, rank)
    first, second = (x[here].clone().requires_grad_() for x in data(sum(shares)))
    found = contrastive(
        first, second, memory=memory, hidden=layers(first, second), group=dist.group.WORLD, batch_size=9, **OPTIONS
    )
    found.loss.square().sum().backward()
    slopes = torch.cat([first.grad, second.grad], dim=1)
    return {"loss": found.loss.tolist(), "memory": found.memory.tolist(), "slopes": slopes.tolist()}


def equations(rank: int, shares: tuple[int, ...]) -> list[list[float]]:
    first, second = (x[own(shares, rank)] for x in data(sum(shares)))
    return [f(first, second, group=dist.group.WORLD).tolist() for f in (ntxent, similarity_entropy)]


def trained(rank: int, group: dist.ProcessGroup | None) -> list[list[float]]:
    """DistributedDataParallel's gradients of one step."""
    first, second = (x[own(SHARES["alike"], rank)] for x in data(6))
    model = nn.parallel.DistributedDataParallel(new_model())
    projected = model(torch.cat([first, second]))
    contrastive(*projected.chunk(2), memory="none", group=group).loss.mean().backward()
    return [parameter.grad.flatten().tolist() for parameter in model.parameters()]


def errors(rank: int) -> list[str | None]:
    """The error on every rank if only one of them is odd, or all."""
    first, second = data(4)
    cases = [
        {"memory": "hidden", "hidden": [(first[:, : 2 + rank], second[:, : 2 + rank])]},
        {"memory": "none", "batch_size": 7},
        {"memory": "hidden", "hidden": layers(first, second)[rank:]},
    ]
    messages: list[str | None] = []
    for options in cases:
        try:
            contrastive(first, second, group=dist.group.WORLD, **options)
            messages.append(None)
        except ArgumentError as error:
            messages.append(str(error))
    return messages


def groups_of_one(rank: int) -> list[list[float]]:
    """Its own group, as without one; and a group that it does not belong to."""
    mine, other = (dist.new_group([member]) for member in (0, 1))
    first, second = data(4)
    memory: Any = {"memory": "hidden", "hidden": layers(first, second)}
    values = contrastive(first, second, group=(mine, other)[rank], **memory)
    try:
        contrastive(first, second, group=(other, mine)[rank], **memory)
    except ArgumentError:
        return [column.tolist() for column in values]
    return []


def work(rank: int, folder: Path) -> None:
    patience = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS, init_method=f"file://{folder}/store", timeout=patience)
    outcome: dict[str, Any] = {
        f"{name}, {memory}": scored(rank, shares, memory)
        for name, shares in SHARES.items()
        for memory in ("hidden", "projector", "alignment", "none")
    }
    outcome |= {name: equations(rank, shares) for name, shares in SHARES.items()}
    outcome |= {"gathered": trained(rank, dist.group.WORLD), "apart": trained(rank, None)}
    outcome |= {"errors": errors(rank), "groups of one": groups_of_one(rank)}
    (folder / f"{rank}.json").write_text(json.dumps(outcome))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=work, args=(rank, Path(sys.argv[1]))) for rank in range(RANKS)]
    try:
        for started in ranks:
            started.start()
        for started in ranks:
            started.join(120)
        sys.exit(0 if [started.exitcode for started in ranks] == [0] * RANKS else 1)
    finally:
        for started in ranks:
            started.kill()
