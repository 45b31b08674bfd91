"""NT-Xent against pytorch-metric-learning's, which knows a sample's other view by its label."""

from __future__ import annotations

import pytest
import torch
from naive_contrast import drawn
from pytorch_metric_learning import losses

from emprune.scoring import contrastive, info_nce, ntxent


@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("size", [2, 64])
def test_ntxent(temperature: float, size: int) -> None:
    library, slopes = losses.NTXentLoss(temperature), []
    labels = torch.arange(size).repeat(2)
    for score in (
        lambda x, y: ntxent(x, y, temperature=temperature, chunk_size=30).mean(),
        lambda x, y: contrastive(x, y, memory="none", temperature=temperature).loss.mean(),
        lambda x, y: library(torch.cat([x, y]), labels),
    ):
        first, second = (x.requires_grad_() for x in drawn(size, 16))
        loss = score(first, second)
        loss.backward()
        slopes.append(torch.stack([torch.cat([first.grad, second.grad]), loss.detach().expand(2 * size, 16)]))
    torch.testing.assert_close(slopes[0], slopes[2], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(slopes[1], slopes[2], rtol=1e-4, atol=1e-6)


def test_info_nce() -> None:
    """A query's only positive is its key; every key of the queue has a label of its own."""
    library = losses.NTXentLoss(0.2)
    queries, keys, queue = *drawn(6, 8), *drawn(20, 8, seed=2, number=1)
    found = info_nce(queries, keys, queue)
    for place in range(6):
        reference = torch.cat([keys[place : place + 1], queue])
        labels = torch.arange(21)
        right = library(queries[place : place + 1], labels[:1], ref_emb=reference, ref_labels=labels)
        torch.testing.assert_close(found[place], right, rtol=1e-4, atol=1e-6)
