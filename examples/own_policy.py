"""A policy of one's own: keep the samples whose scores are the oldest, so that all stay fresh.

python examples/own_policy.py
"""

from __future__ import annotations

import torch

import emprune


class Stalest(emprune.Policy):
    """The k samples that were seen the longest ago, ties at random."""

    name = "stalest"

    def select(self, request: emprune.Request) -> emprune.Selection:
        age = request.epoch - request.table.last_seen
        return request.top(age)


def main() -> None:
    pruner = emprune.Pruner(100, Stalest(), prune_rate=0.75, num_epochs=4, seed=0)
    for epoch in pruner.epochs():
        for ids in emprune.IdBatches(pruner, batch_size=25):
            pruner.loss(ids, torch.rand(len(ids), requires_grad=True)).backward()
        print(f"epoch {epoch}: {pruner.plan}")
    print(f"never trained: {pruner.report().never_trained} of 100 samples")


if __name__ == "__main__":
    main()
