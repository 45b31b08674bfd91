"""Functions as users write them for ``emprune_lab.compare``: a tiny model on points of a plane, in several manners.

As a script it compares one of them: ``python own_train.py FUNCTION OUT [JOBS [POLICIES [SEEDS]]]``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import default_collate

from emprune import IdBatches, PrunedLoader
from emprune.checkpoint import load_state, save_state
from emprune.scoring import classification

N, EPOCHS, BATCH = 200, 4, 16

drawn = torch.Generator().manual_seed(0)
points = torch.randn(N + 300, 2, generator=drawn)
labels = (points[:, 0] * points[:, 1] > 0).long()


def train(pruner, seed, *, device="cpu", memory=True, note=lambda epoch: None):
    """The plain one; returns the accuracy."""
    torch.manual_seed(seed)
    inputs, targets = points.to(device), labels.to(device)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for epoch in pruner.epochs():
        note(epoch)
        for ids in IdBatches(pruner, BATCH):
            logits = model(inputs[ids.to(device)])
            loss, term = classification(logits, targets[ids.to(device)])
            (pruner.loss(ids, loss, term) if memory else pruner.loss(ids, loss)).backward()
            optimizer.step()
            optimizer.zero_grad()
    with torch.no_grad():
        held_out = model(inputs[N:])
        right = (held_out.argmax(1) == targets[N:]).float().mean()
        return {"accuracy": right, "loss": float(F.cross_entropy(held_out, targets[N:])), "names": ["no number"]}


train.num_samples, train.num_epochs = N, EPOCHS


def without_memory(pruner, seed):
    """A loss alone, as any loop has it."""
    return train(pruner, seed, memory=False)


def loss_alone(pruner, seed):
    """A number without a name, of which less is better."""
    return train(pruner, seed)["loss"]


def with_loader_processes(pruner, seed):
    """A loader with a process of its own, whose data set cannot be pickled."""
    data = [
        (lambda point=point, label=label: (point, label)) for point, label in zip(points[:N], labels[:N], strict=True)
    ]
    weight = torch.zeros(2, requires_grad=True)
    loader = PrunedLoader(data, pruner, BATCH, num_workers=1, collate_fn=called)
    for _ in pruner.epochs():
        for ids, (batch, targets) in loader:
            loss = F.binary_cross_entropy_with_logits(batch @ weight, targets.float(), reduction="none")
            pruner.loss(ids, loss).backward()
    return 0.5


def called(samples):
    return default_collate([sample() for sample in samples])


def failing(pruner, seed):
    """Raises under one seed, unless the file that mends it is there."""
    if seed == 1 and pruner.policy.name == "random" and not Path(os.environ["MENDED"]).exists():
        raise KeyError("no such image")
    return train(pruner, seed)


def fixed_epochs(pruner, seed):
    """A number of epochs of its own, as in a script that knew no pruner."""
    for _ in range(EPOCHS):
        for ids in IdBatches(pruner, BATCH):
            pruner.loss(ids, torch.ones(len(ids), requires_grad=True)).backward()
        pruner.end_epoch()
    return 0.5


def leaving_early(pruner, seed):
    """Stops when it has enough."""
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, BATCH):
            pruner.loss(ids, torch.ones(len(ids), requires_grad=True)).backward()
        break
    return 0.5


def logged(pruner, seed):
    """Writes down what it trains; killed once, in the middle of the third run."""
    name = f"{pruner.policy.name} {pruner.num_epochs} {sum(pruner.kept)} {seed}"
    with Path(os.environ["LOG"]).open("a") as log:
        log.write(f"{name}\n")
    killed = Path(os.environ["LOG"] + ".killed")

    def kill(epoch):
        if epoch == 1 and pruner.policy.name == "full" and not killed.exists():
            killed.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)

    return train(pruner, seed, note=kill)


def saving(pruner, seed, folder):
    """Goes on from its own checkpoint; killed once in its third epoch. Logs its epochs."""
    path, killed = folder / "run.state", folder / "killed"
    weight = torch.zeros(2, requires_grad=True)
    if path.exists():
        state = load_state(path)
        pruner.load_state_dict(state)
        weight = state["weight"].requires_grad_()
    for epoch in pruner.epochs():
        with (folder / "epochs").open("a") as log:
            log.write(json.dumps(epoch) + "\n")
        for step, ids in enumerate(IdBatches(pruner, BATCH)):
            loss = F.binary_cross_entropy_with_logits(points[ids] @ weight, labels[ids].float(), reduction="none")
            pruner.loss(ids, loss).backward()
            with torch.no_grad():
                weight -= 0.1 * weight.grad
            weight.grad = None
            if step == 1:
                save_state(path, {**pruner.state_dict(), "weight": weight.detach()})
                if epoch == 2 and not killed.exists():
                    killed.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
    with torch.no_grad():
        return {"accuracy": float(((points[N:] @ weight > 0).long() == labels[N:]).float().mean())}


if __name__ == "__main__":
    import emprune_lab

    name, out, jobs, policies, seeds, *_ = [*sys.argv[1:], *("1", "full,random,emp-gated", "2")[len(sys.argv) - 3 :]]
    emprune_lab.compare(
        globals()[name], num_samples=N, num_epochs=EPOCHS, policies=policies.split(","), prune_rates=[0.5],
        seeds=int(seeds), jobs=int(jobs), threads=1, out=out,
    )  # fmt: skip
