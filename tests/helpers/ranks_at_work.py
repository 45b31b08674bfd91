"""Real processes in a gloo group, each scenario run by all ranks; started by test_ranks_train_alike.py alone.

python ranks_at_work.py FOLDER PORT PORT PORT      one, two and four ranks: a JSON file each, {scenario: outcome}
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.nn  # before there is a group, which it would hold for ever
import torch.multiprocessing as mp

from emprune import AutoRate, EmpruneError, IdBatches, PrunedLoader, Pruner, get_policy
from emprune.distributed import ProcessGroup, RankSlice
from emprune.epoch.exchange import exchange
from emprune.table import Observations

N, EPOCHS, GLOBAL = 103, 4, 8


def values(ids, epoch):
    """Losses and entropies that depend on sample and epoch alone, so that any number of ranks sees the same."""
    loss = ((ids * 37 + epoch * 11) % 53).float() / 7
    return loss, ((ids * 17 + epoch * 5) % 29).float() / 9


def step(pruner, ids, falling=False):
    loss, memory = values(ids, pruner.epoch)
    if falling:  # ever fewer are high
        loss = loss ** (1 + pruner.epoch)
    known = {"confidence": memory, "gradient_products": torch.eye(len(ids))}
    further = {name: value for name, value in known.items() if name in pruner.policy.inputs}
    return pruner.loss(ids, loss.requires_grad_(), memory, **further)


def build(policy="emp", size=N, rate=0.6, **options):
    return Pruner(size, policy, prune_rate=rate, num_epochs=EPOCHS, seed=5, **options)


def describe(pruner):
    report = pruner.report()
    columns = {name: column.tolist() for name, column in pruner.table.state_dict().items()}
    return {"table": columns, "backward": report.samples_backward, "steps": report.steps,
            "forward": report.samples_forward}  # fmt: skip


def train(pruner, world, *, drop_last=False, epochs=EPOCHS, falling=False):
    """Train to the end; what was trained and each epoch's plan."""
    batches, plans = [], []
    for epoch in pruner.epochs():
        plans.append(pruner.plan.digest)
        for ids in IdBatches(pruner, GLOBAL // world, drop_last=drop_last):
            step(pruner, ids, falling)
            batches.append([epoch, *ids.tolist()])
        if epoch == epochs - 1:
            pruner.end_epoch()
            break
    return {"batches": batches, "plans": plans, **describe(pruner)}


def error_of(work):
    try:
        work()
    except EmpruneError as error:
        return f"{type(error).__name__}: {error}"
    return None


def every_policy(rank, world):
    policies = ["emp", "infobatch", "repb", "ucb", "rs2", "seta", "orderdp", "kakurenbo"]
    return {policy: train(build(policy), world) for policy in policies}


def in_batch(rank, world):
    return {policy: train(build(policy), world) for policy in ("selective-backprop", "divbs")}


def following_rates(rank, world):
    """Rates that follow the scores: as they come, and with a target."""
    outcome = {}
    for name, rate in (("auto", "auto"), ("target", AutoRate(target=0.7))):
        pruner = build("lfl", rate=rate)
        outcome[name] = {**train(pruner, world, falling=True), "kept": list(pruner.kept)}
    return outcome


def dropped_last(rank, world):
    return train(build(), world, drop_last=True)


def few_samples(rank, world):
    return {"k below world": train(build("lfl", size=10, rate=0.9), world), "all equal": train(build("lfl", 40), world)}


def not_finite(rank, world):
    """A NaN on the last rank only."""

    def run(mode):
        pruner = build(on_nonfinite=mode)
        for _ in pruner.epochs():
            for number, ids in enumerate(IdBatches(pruner, GLOBAL // world)):
                loss, memory = values(ids, pruner.epoch)
                if rank == world - 1 and number == 1 and pruner.epoch == 0:
                    loss[0] = torch.nan
                pruner.loss(ids, loss, memory)
        return describe(pruner)

    return {"error": error_of(lambda: run("error")), "quarantine": run("quarantine")}


def disagreement(rank, world):
    def tampered():
        pruner = build("lfl")
        for ids in IdBatches(pruner, GLOBAL // world):
            step(pruner, ids)
        if rank == world - 1:
            pruner.policy.select = get_policy("random").select
        pruner.end_epoch()

    return {
        "seed": error_of(lambda: Pruner(N, "emp", prune_rate=0.5, num_epochs=2, seed=int(rank == world - 1))),
        "policy": error_of(lambda: Pruner(N, "lfl" if rank else "emp", prune_rate=0.5, num_epochs=2)),
        "plan": error_of(tampered),
    }


def same_id_on_two_ranks(rank, world):
    pruner = build(rate=0.0)
    ids = torch.arange(6)  # every rank reports the same ids, with losses of its own
    pruner.loss(ids, torch.full((6,), 1.0 + rank), torch.zeros(6))
    pruner.end_epoch()
    return describe(pruner)


def large_ids(rank, world):
    ids = np.array([2**24 + 1, 2**31 + 3, 2**40 + 5]) + rank
    column = np.arange(3, dtype=np.float32)
    flags = np.ones(3, dtype=bool)
    seen = exchange(
        Observations(ids, column, column, flags, np.arange(3), flags), RankSlice.whole(2**41), ProcessGroup()
    )
    return [str(i) for i in seen.ids.tolist()]


def alone_on_rank_0(rank, world):
    """What one rank may do without the others."""
    pruner = build()
    if rank == 0:
        pruner.report()
        len(PrunedLoader(range(N), pruner, batch_size=2))
    return train(pruner, world)["plans"]


def saved_in_mid_epoch(rank, world):
    """State after two global batches of epoch 1, the batches that are left, and what a later world gets of it."""
    pruner = build("repb")
    for epoch in pruner.epochs():
        for number, ids in enumerate(IdBatches(pruner, GLOBAL // world)):
            if epoch == 1 and number == 2:
                state = pruner.state_dict()
                folder = Path(sys.argv[1])
                if rank == 0:
                    torch.save(state, folder / f"state-{world}.pt")
                left = pruner.plan.ids[2 * GLOBAL :].tolist()
                return {
                    "left": left,
                    "after": resumed(state, world),
                    "error": error_of(functools.partial(resumed, state, world, 3)),
                }
            step(pruner, ids)
    return None


def resumed(state, world, batch_size=None):
    pruner = build("repb")
    pruner.load_state_dict(state)
    return [ids.tolist() for ids in IdBatches(pruner, batch_size or GLOBAL // world)]


def restored_elsewhere(rank, world):
    """The state that one process saved."""
    state = torch.load(Path(sys.argv[1]) / "state-1.pt", weights_only=True)
    pruner = build("repb")
    pruner.load_state_dict(state)
    return train(pruner, world)


def gradients(rank, world):
    """DistributedDataParallel on the ranks' batches against plain training on the global ones."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 3), torch.randn(64)
    model = torch.nn.Linear(3, 1)
    parallel = torch.nn.parallel.DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    pruner = build("infobatch", size=64, rate=0.5)
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, GLOBAL // world):
            loss = (parallel(inputs[ids]).squeeze(1) - targets[ids]) ** 2
            pruner.loss(ids, loss).backward()
            optimizer.step()
            optimizer.zero_grad()
    return [p.flatten().tolist() for p in model.parameters()]


SCENARIOS = [
    every_policy, in_batch, following_rates, dropped_last, few_samples, not_finite, disagreement, same_id_on_two_ranks,
    large_ids, alone_on_rank_0, saved_in_mid_epoch, restored_elsewhere, gradients,
]  # fmt: skip


def work(rank, world, folder, port):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if world > 1:
        dist.init_process_group("gloo", rank=rank, world_size=world, timeout=datetime.timedelta(seconds=60))
    alone = {"large_ids"} if world == 1 else set()
    outcome = {s.__name__: s(rank, world) for s in SCENARIOS if s.__name__ not in alone}
    (Path(folder) / f"{world}-{rank}.json").write_text(json.dumps(outcome))
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    # Forked before any thread is there: torch is imported once.
    for world_size, its_port in zip((1, 2, 4), sys.argv[2:], strict=True):
        mp.start_processes(work, (world_size, sys.argv[1], int(its_port)), nprocs=world_size, start_method="fork")
