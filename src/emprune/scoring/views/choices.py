"""What a softmax over similarities says of each anchor: how likely its positive is, and how undecided it is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from emprune.scoring.views.gathering import Ranks, gather
from emprune.scoring.views.similarity import CHUNK_SIZE, log_sum_exp, normalised


class Choice(NamedTuple):
    """What an anchor's softmax says, which picks its positive among its negatives; shape [M] each, in nats.

    Attributes:
        gap: log Σ_negatives e^s less the positive's s, with gradient.
        spread: entropy of the softmax over the negatives alone, without gradient; zeros if not asked for.
    """

    gap: torch.Tensor
    spread: torch.Tensor

    @property
    def loss(self) -> torch.Tensor:
        """-log p of the positive, p = 1/(1 + e^gap): exact to the last digits also where it is all but 0."""
        return F.softplus(self.gap)

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy of the whole softmax, without gradient, by its chain rule: positive or not, then which negative."""
        gap = self.gap.detach()
        positive, negative = torch.sigmoid(-gap), torch.sigmoid(gap)
        return positive * F.softplus(gap) + negative * (F.softplus(-gap) + self.spread)


def among_views(
    names: tuple[str, str],
    first: torch.Tensor,
    second: torch.Tensor,
    ranks: Ranks,
    temperature: float,
    *,
    entropy: bool,
    chunk_size: int = CHUNK_SIZE,
) -> Choice:
    """The softmax of each of 2B anchors over all other views: its positive is the same sample's other view.

    Args:
        names: of the arguments, for errors.
        first, second: floating point, shape [B, D] each.
        ranks: whose views count; ranks.total ≥ 2.
        entropy: whether the entropy is wanted.

    Returns:
        Of shape [2B], first views and then second ones.
    """
    first, second = normalised(names[0], first), normalised(names[1], second)
    anchors = torch.cat([first, second])
    own = torch.arange(len(anchors), device=anchors.device)
    skip = torch.stack([own, own.roll(len(first))], dim=1) + 2 * ranks.before
    log_z, spread = log_sum_exp(
        anchors, gather(anchors, ranks), skip, temperature, entropy=entropy, chunk_size=chunk_size
    )
    return Choice(log_z - cosines(first, second).repeat(2) / temperature, spread)


def among_keys(
    queries: torch.Tensor,
    keys: torch.Tensor,
    queue: torch.Tensor,
    temperature: float,
    *,
    entropy: bool,
    chunk_size: int = CHUNK_SIZE,
) -> Choice:
    """The softmax of each of B queries over its own key, the positive, and a queue of K others.

    Args:
        queries, keys: floating point, shape [B, D].
        queue: floating point, shape [K, D].
        entropy: whether the entropy is wanted.

    Returns:
        Of shape [B]; no gradient reaches keys or queue.
    """
    queries = normalised("queries", queries)
    keys, queue = normalised("keys", keys.detach()), normalised("queue", queue.detach())
    log_z, spread = log_sum_exp(queries, queue, None, temperature, entropy=entropy, chunk_size=chunk_size)
    return Choice(log_z - cosines(queries, keys) / temperature, spread)


def cosines(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Cosine of the rows of two normalised matrices, shape [B]."""
    return (first * second).sum(dim=1)
