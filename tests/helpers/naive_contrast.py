"""Contrastive losses and memory terms view by view in float64, straight from their definitions; differentiable."""

from __future__ import annotations

import torch


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a @ b) / ((a @ a).sqrt() * (b @ b).sqrt())


def distribution(anchor: torch.Tensor, others: list[torch.Tensor], temperature: float) -> list[torch.Tensor]:
    """Log probability of each other."""
    scaled = [cosine(anchor, other) / temperature for other in others]
    log_z = torch.logsumexp(torch.stack(scaled), dim=0)
    return [value - log_z for value in scaled]


def entropy(log_p: list[torch.Tensor]) -> torch.Tensor:
    return -sum(value.exp() * value for value in log_p)


def views(first: torch.Tensor, second: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and entropy of each view, shape [2B], first ones first."""
    rows = [*first.double(), *second.double()]
    losses, entropies = [], []
    for i, anchor in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        log_p = distribution(anchor, [rows[j] for j in others], temperature)
        partner = i + len(first) if i < len(first) else i - len(first)
        losses.append(-log_p[others.index(partner)])
        entropies.append(entropy(log_p))
    return torch.stack(losses), torch.stack(entropies)


def samples(values: torch.Tensor) -> torch.Tensor:
    """Means of a sample's two views, shape [B]."""
    half = len(values) // 2
    return torch.stack([(values[i] + values[half + i]) / 2 for i in range(half)])


def queries(
    queries: torch.Tensor, keys: torch.Tensor, queue: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and entropy of each query, shape [B]."""
    losses, entropies = [], []
    for query, key in zip(queries.double(), keys.double(), strict=True):
        log_p = distribution(query, [key, *queue.double()], temperature)
        losses.append(-log_p[0])
        entropies.append(entropy(log_p))
    return torch.stack(losses), torch.stack(entropies)


def alignment(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    pairs = zip(first.double(), second.double(), strict=True)
    return torch.stack([1 - cosine(one, other) for one, other in pairs])


def drawn(*shape: int, seed: int = 0, number: int = 2) -> list[torch.Tensor]:
    """float32 features of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) * (place + 0.5) for place in range(number)]
