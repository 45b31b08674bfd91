"""Fashion-MNIST on several processes, killed at will and resumed where it stopped.

    torchrun --nproc-per-node 2 examples/ddp_fashion_mnist.py --out runs/ddp [--data digits] [--epochs 6]

Run the same command again after a kill; it goes on from the last saved step. The number of processes may change too, as
long as the global batch stays the same. The data are those of the lab: see `emprune compare --help` for their folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before there is a process group; see below
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.scoring import classification
from emprune_lab import data as lab_data

GLOBAL_BATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--save-every", type=int, default=50, help="steps")
    parser.add_argument("--out", type=Path, default=Path("runs/ddp"))
    options = parser.parse_args()

    # torch.distributed.nn takes the group as a default argument. Imported only now, as torch.optim does, it would hold
    # the group beyond destroy_process_group, and gloo's threads abort the process at its exit now and then.
    dist.init_process_group("gloo")  # one line for one process or many; "nccl" on accelerators
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = lab_data.load(options.data, options.data_dir)
    train_set = TensorDataset(images.images.float() / 127.5 - 1, images.labels)
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.Linear(128, images.num_classes))
    model(train_set[0][0][None])
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    pruner = Pruner(len(train_set), prune_rate=0.7, num_epochs=options.epochs, seed=0)
    loader = PrunedLoader(train_set, pruner, batch_size=GLOBAL_BATCH // dist.get_world_size())
    parts = {"model": model, "optimizer": optimizer, "pruner": pruner}
    checkpoint = options.out / "checkpoint.pt"
    if checkpoint.is_file():
        for name, state in torch.load(checkpoint, weights_only=True).items():
            parts[name].load_state_dict(state)
        if dist.get_rank() == 0:
            print(f"going on after step {pruner.report().steps}, in epoch {pruner.epoch}", flush=True)

    steps = 0
    for _ in pruner.epochs():
        for ids, (batch, labels) in loader:
            pruner.loss(ids, *classification(parallel(batch), labels)).backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
            if steps % options.save_every == 0:
                save(checkpoint, {name: part.state_dict() for name, part in parts.items()})

    if dist.get_rank() == 0:
        with torch.no_grad():
            logits = model(images.test_images.float() / 127.5 - 1)
        right = (logits.argmax(1) == images.test_labels).float().mean()
        report = pruner.report()
        print(f"test accuracy {right:.2%}, {report.samples_backward} samples, {report.steps} steps")
        print(f"weights {sum(weight.double().abs().sum().item() for weight in model.parameters()):.10f}", flush=True)
    dist.barrier()  # nobody leaves while another still works
    del parallel  # or else it may wait for gloo's threads, when it frees the group, and they for Python's lock
    dist.destroy_process_group()


def save(path: Path, state: dict[str, Any]) -> None:
    """The pruner's state_dict is collective, writing is rank 0's: atomically."""
    if dist.get_rank() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    main()
