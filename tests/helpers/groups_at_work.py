"""Real gloo processes: FSDP, groups that are a part of the world, state on disk; started by test_process_groups.py.

python groups_at_work.py FOLDER

Torch is imported once and a process forked for each rank, before any thread is there. Every rank writes its steps to
FOLDER/SCENARIO-RANK, a line of JSON each.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch  # noqa: F401  once, before the forks
import torch
import torch.distributed as dist
import torch.distributed.nn  # before there is a group, which it would hold for ever
from cases import loss_of, memory_of
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from emprune import IdBatches, Pruner
from emprune.checkpoint import restore, save
from emprune.distributed import ProcessGroup
from emprune.scoring import classification

N, EPOCHS, GLOBAL = 102, 4, 8  # 51 samples an epoch: two ranks repeat one in its last batch
SAVED_AT, KILLED_AFTER = 10, 12
Tell = Callable[[dict[str, Any]], None]


def new_pruner(seed: int = 3, **options: Any) -> Pruner:
    return Pruner(N, "infobatch", prune_rate=0.5, num_epochs=EPOCHS, seed=seed, **options)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(N, 4, generator=rng), torch.randint(0, 3, (N,), generator=rng)


def new_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def known_steps(pruner: Pruner) -> Iterator[dict[str, Any]]:
    """Train what is left with losses that are a function of id and epoch; what each step trained, with its weights."""
    step = pruner.report().steps
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, GLOBAL // pruner.world.size):
            weights = pruner.select_batch(ids, loss_of(ids, epoch), memory_of(ids, epoch)).weights
            shown = torch.ones(len(ids)) if weights is None else weights
            yield {"step": step, "epoch": epoch, "ids": ids.tolist(), "weights": shown.tolist()}
            step += 1


def fully_sharded(rank: int, tell: Tell) -> None:
    """A model whose parameters no rank holds whole."""
    model, (inputs, labels) = new_model(), data()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    pruner = new_pruner()
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, GLOBAL // dist.get_world_size()):
            scores = classification(model(inputs[ids]), labels[ids])
            pruner.loss(ids, *scores).backward()
            optimizer.step()
            optimizer.zero_grad()
            values = {"loss": scores.loss.tolist(), "memory": scores.memory.tolist(), "plan": pruner.plan.digest}
            tell({"epoch": epoch, "ids": ids.tolist(), **values})
    columns = {name: column.tolist() for name, column in pruner.table.state_dict().items()}
    tell({"table": columns, "local": sum(p.to_local().numel() for p in model.parameters())})


def parts_of_the_world(rank: int, tell: Tell) -> None:
    """Two groups of two ranks, each with a run of its own, in one world of four."""
    groups = [dist.new_group([0, 1]), dist.new_group([2, 3])]
    pruner = new_pruner(seed=rank // 2, world=ProcessGroup(groups[rank // 2]))
    for row in known_steps(pruner):
        tell({**row, "plan": pruner.plan.digest})


def saved(rank: int, tell: Tell) -> None:
    """Save in mid-epoch, and go on slowly until the end comes."""
    pruner = new_pruner()
    for row in known_steps(pruner):
        if row["step"] == SAVED_AT:
            # The step that was yielded is reported already: what is saved is the state after it.
            save(pruner, sys.argv[1] + "/run.state", batch_size=GLOBAL // 2)
        tell(row)
        if row["step"] >= SAVED_AT:
            time.sleep(0.05)


def resumed(rank: int, tell: Tell) -> None:
    pruner, world = new_pruner(), dist.get_world_size()
    restore(pruner, sys.argv[1] + "/run.state", batch_size=GLOBAL // world)
    for row in known_steps(pruner):
        tell(row)


def work(scenario: Callable[[int, Tell], None], name: str, rank: int, world: int) -> None:
    folder, patience = Path(sys.argv[1]), datetime.timedelta(seconds=120)
    store = f"file://{folder}/{name}.store"
    dist.init_process_group("gloo", rank=rank, world_size=world, init_method=store, timeout=patience)
    with (folder / f"{name}-{rank}").open("w") as log:

        def tell(row: dict[str, Any]) -> None:
            log.write(json.dumps(row) + "\n")
            log.flush()

        scenario(rank, tell)
    dist.barrier()  # nobody leaves while another still works
    dist.destroy_process_group()


def start(scenario: Callable[[int, Tell], None], world: int, name: str) -> list[Any]:
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=work, args=(scenario, name, rank, world)) for rank in range(world)]
    for rank in ranks:
        rank.start()
    return ranks


def finish(ranks: list[Any], expected: int = 0) -> None:
    """Wait for all ranks; if one fails or lasts too long, end them all."""
    until = time.monotonic() + 180
    try:
        for rank in ranks:
            rank.join(max(0, until - time.monotonic()))
        codes = [rank.exitcode for rank in ranks]
        if codes != [expected] * len(ranks):
            raise SystemExit(f"the ranks ended with {codes}")
    finally:
        for rank in ranks:
            rank.kill()


def kill(ranks: list[Any], name: str) -> None:
    """SIGKILL to all ranks, once each has gone beyond what is saved."""
    logs = [Path(sys.argv[1]) / f"{name}-{rank}" for rank in range(len(ranks))]
    while True:
        with contextlib.suppress(OSError):
            if all(len(log.read_text().splitlines()) > KILLED_AFTER for log in logs):
                break
        if any(rank.exitcode is not None for rank in ranks):
            break
        time.sleep(0.01)
    for rank in ranks:
        os.kill(rank.pid, signal.SIGKILL)


if __name__ == "__main__":
    torch.set_num_threads(1)
    finish(start(fully_sharded, 2, "fsdp"))
    finish(start(parts_of_the_world, 4, "parts"))
    doomed = start(saved, 2, "saved")
    kill(doomed, "saved")
    finish(doomed, -signal.SIGKILL)
    for number in (1, 2):
        finish(start(resumed, number, f"resumed by {number}"))
