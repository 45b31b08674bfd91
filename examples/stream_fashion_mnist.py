"""A stream of Fashion-MNIST, pruned inside its batches on several processes, killed at will and resumed.

    torchrun --nproc-per-node 2 examples/stream_fashion_mnist.py --out runs/stream [--data digits] [--passes 3]

Nobody asks the stream for chosen samples, or for its length. Large batches are forwarded without gradient, and three
tenths of each are trained. Run the same command again after a kill; it goes on from the last saved step, with as many
processes. The data are those of the lab: see `emprune compare --help` for their folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before there is a process group; see ddp_fashion_mnist.py
from datasets import Dataset
from datasets.distributed import split_dataset_by_node
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torchdata.stateful_dataloader import StatefulDataLoader

from emprune import BatchPruner
from emprune.scoring import classification
from emprune_lab import data as lab_data

GLOBAL_BATCH, SHARDS = 256, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--save-every", type=int, default=20, help="steps")
    parser.add_argument("--out", type=Path, default=Path("runs/stream"))
    options = parser.parse_args()
    dist.init_process_group("gloo")
    train(options)
    # Not in train: DDP would hold the group longest there, and end gloo's threads and wait for them with Python's lock
    # in its hand. A thread that frees a tensor of the last collectives waits for that lock, and neither goes on.
    dist.destroy_process_group()


def train(options: argparse.Namespace) -> None:
    """All passes, or those that are left."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = lab_data.load(options.data, options.data_dir)
    rows = {"image": images.images.flatten(1).numpy(), "label": images.labels.numpy()}
    stream = Dataset.from_dict(rows).to_iterable_dataset(num_shards=SHARDS).with_format("torch")
    stream = split_dataset_by_node(stream, rank, ranks)
    loader = StatefulDataLoader(stream, batch_size=GLOBAL_BATCH // ranks)

    model = nn.Sequential(nn.Linear(images.images[0].numel(), 128), nn.ReLU(), nn.Linear(128, images.num_classes))
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def score(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return classification(parallel(batch["image"].float() / 127.5 - 1), batch["label"])

    pruner = BatchPruner("emp", prune_rate=0.7, seed=0)
    checkpoint, first = options.out / "checkpoint.pt", 0
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=False)  # a loader's state holds more than tensors
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        pruner.load_state_dict(saved["ranks"][rank]["pruner"])
        loader.load_state_dict(saved["ranks"][rank]["loader"])
        first = saved["pass"]
        if rank == 0:
            print(f"going on after step {pruner.batches}, in pass {first}", flush=True)

    for number in range(first, options.passes):
        stream.set_epoch(number)  # or else a stream that was told where to begin does so in every later pass too
        for batch in pruner.together(loader):
            pruner.loss(score, batch).backward()
            optimizer.step()
            optimizer.zero_grad()
            if pruner.batches % options.save_every == 0:
                mine = {"pruner": pruner.state_dict(), "loader": loader.state_dict()}
                parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "pass": number}
                save(checkpoint, parts, mine)

    trained = torch.tensor([pruner.samples_backward, pruner.samples_forward])
    dist.all_reduce(trained)
    if rank == 0:
        with torch.no_grad():
            logits = model(images.test_images.flatten(1).float() / 127.5 - 1)
        right = (logits.argmax(1) == images.test_labels).float().mean()
        print(f"test accuracy {right:.2%}, {trained[0]} of {trained[1]} samples, {pruner.batches} steps")
        print(f"weights {sum(weight.double().abs().sum().item() for weight in model.parameters()):.10f}", flush=True)
    dist.barrier()  # nobody leaves while another still works


def save(path: Path, parts: dict[str, Any], mine: dict[str, Any]) -> None:
    """One file with every rank's place in its stream, so that a kill cannot part them: written whole or not at all."""
    ranks: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(ranks, mine)
    if dist.get_rank() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(parts | {"ranks": ranks}, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    main()
