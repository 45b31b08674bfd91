"""A training loop of accelerate's on scikit-learn's digits that prunes 70 % of the data; killed, it goes on.

python examples/accelerate_loop.py [--out runs/accelerate]
torchrun --nproc-per-node 2 examples/accelerate_loop.py [--out runs/accelerate]
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.integrations.accelerate import prepare_loader, updates_per_epoch
from emprune.scoring import classification

GLOBAL_BATCH, ACCUMULATION = 32, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--save-every", type=int, default=10, help="updates")
    parser.add_argument("--out", type=Path, default=Path("runs/accelerate"))
    options = parser.parse_args()

    # Without cpu=True accelerate runs processes that have no accelerator each for itself.
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), gradient_accumulation_steps=ACCUMULATION)
    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1, torch.tensor(digits.target)
    train_set = TensorDataset(images[:1200], labels[:1200])
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)

    pruner = Pruner(len(train_set), prune_rate=0.7, num_epochs=options.epochs, anneal=0.125)
    batch_size = GLOBAL_BATCH // accelerator.num_processes
    loader = prepare_loader(accelerator, PrunedLoader(train_set, pruner, batch_size=batch_size))
    updates = sum(updates_per_epoch(pruner, batch_size, accumulation=ACCUMULATION))
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=updates)
    model, optimizer = accelerator.prepare(model, optimizer)
    accelerator.register_for_checkpointing(pruner, scheduler)
    checkpoint, unfinished = options.out / "checkpoint", options.out / "unfinished"
    if checkpoint.is_dir():
        accelerator.load_state(str(checkpoint))

    for _ in pruner.epochs():
        for ids, (batch, targets) in loader:
            with accelerator.accumulate(model):
                accelerator.backward(pruner.loss(ids, *classification(model(batch), targets)))
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                scheduler.step()
                if scheduler.last_epoch % options.save_every == 0:
                    accelerator.save_state(str(unfinished))
                    accelerator.wait_for_everyone()
                    if accelerator.is_main_process:  # atomically
                        shutil.rmtree(checkpoint, ignore_errors=True)
                        unfinished.rename(checkpoint)

    model.eval()
    with torch.no_grad():
        right = (model(images[1200:].to(accelerator.device)).argmax(1).cpu() == labels[1200:]).float().mean()
    weights = sum(weight.double().abs().sum().item() for weight in model.parameters())
    report = pruner.report()
    accelerator.print(f"test accuracy {right:.1%}, realised rate {report.realised_rate:.3f}, {updates} updates")
    accelerator.print(f"learning rate {scheduler.get_last_lr()[0]:.6f}, weights {weights:.10f}", flush=True)
    accelerator.wait_for_everyone()  # nobody leaves while another still works
    model, optimizer = accelerator.free_memory(model, optimizer)
    accelerator.end_training()


if __name__ == "__main__":
    main()
