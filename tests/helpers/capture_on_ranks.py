"""Two real gloo processes whose models are captured under DistributedDataParallel; started by test_capture.py.

python capture_on_ranks.py FOLDER      one file a rank in FOLDER: {scenario: what take() gave, what was compiled}
"""

from __future__ import annotations

import datetime
import multiprocessing
import sys
from pathlib import Path

import torch
import torch._dynamo  # once, before the forks
import torch.distributed as dist
import torch.distributed.nn  # before there is a group, which it would hold for ever
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from emprune import Capture

RANKS, STEPS, BATCH = 2, 4, 6
LAYERS = ("0", "2")


def new_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))


def batch(rank: int, step: int) -> torch.Tensor:
    return torch.randn(BATCH, 5, generator=torch.Generator().manual_seed(100 * rank + step))


def features(model: nn.Module, capture: Capture, rank: int) -> dict[str, torch.Tensor]:
    """Train some steps; what was captured in all of them, and the last step's gradient."""
    taken = []
    for step in range(STEPS):
        model.zero_grad()
        model(batch(rank, step)).square().sum().backward()
        taken.append(capture.take())
    gradient = next(model.parameters()).grad
    return {**{name: torch.stack([each[name] for each in taken]) for name in LAYERS}, "gradient": gradient}


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    patience = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS, init_method=store, timeout=patience)
    counted = torch._dynamo.utils.counters["stats"]
    found = {}
    for name in ("inner", "wrapper", "compiled inside", "compiled outside"):
        inner = new_model()
        inside = torch.compile(inner, backend="aot_eager") if name == "compiled inside" else inner
        parallel = DistributedDataParallel(inside)
        model = torch.compile(parallel, backend="aot_eager") if name == "compiled outside" else parallel
        with Capture(inner if name == "inner" else model, LAYERS) as capture:
            before = counted["unique_graphs"]
            found[name] = features(model, capture, rank)
            found[name]["graphs"] = counted["unique_graphs"] - before
        del parallel, model
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=work, args=(rank, Path(sys.argv[1]))) for rank in range(RANKS)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    sys.exit(any(process.exitcode for process in ranks))


if __name__ == "__main__":
    main()
