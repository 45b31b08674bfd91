"""Real processes that hold a partition of the score table each; started by a test, never by pytest.

python partitions_at_work.py WORLD_SIZE FOLDER PORT SECONDS_A_STEP     a log a rank in FOLDER: one JSON line a step
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from cases import loss_of, memory_of

from emprune import IdBatches, Pruner
from emprune.checkpoint import restore, save

N, EPOCHS, GLOBAL = 211, 3, 12


def work(rank: int, world: int, folder: str, port: int, pause: float) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world, timeout=datetime.timedelta(seconds=60))
    size = GLOBAL // world
    pruner = Pruner(N, "emp", prune_rate=0.6, num_epochs=EPOCHS, seed=5, partition_batch_size=size)
    path = Path(folder) / "run.state"
    if any(Path(folder).glob("run.state*")):
        restore(pruner, path, fall_back=True)
    with (Path(folder) / f"log-{rank}.jsonl").open("a") as log:
        for epoch in pruner.epochs():
            for ids in IdBatches(pruner, size):
                at = pruner.report().steps
                pruner.loss(ids, loss_of(ids, epoch), memory_of(ids, epoch))
                print(json.dumps({"step": at, "epoch": epoch, "ids": ids.tolist()}), file=log, flush=True)
                save(pruner, path)
                time.sleep(pause)
    report = pruner.report()
    outcome = {"rows": pruner.table.owned.size, "loss": pruner.table.loss.tolist(), "backward": report.samples_backward}
    (Path(folder) / f"end-{rank}.json").write_text(json.dumps(outcome))
    dist.destroy_process_group()


if __name__ == "__main__":
    world_size, out, port, pause = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    # Forked before any thread is there: torch is imported once.
    mp.start_processes(work, (world_size, out, port, pause), nprocs=world_size, start_method="fork")
