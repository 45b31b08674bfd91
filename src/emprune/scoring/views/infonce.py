"""The equations of contrastive learning, one function each."""

from __future__ import annotations

import torch
import torch.distributed as dist

from emprune.scoring.views.checks import check_enough, check_pair, check_queue, check_settings
from emprune.scoring.views.choices import Choice, among_keys, among_views, cosines
from emprune.scoring.views.gathering import meet
from emprune.scoring.views.similarity import CHUNK_SIZE, normalised


def ntxent(
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    temperature: float = 0.5,
    group: dist.ProcessGroup | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> torch.Tensor:
    """SimCLR's loss of each view (Chen et al., arXiv:2002.05709, equation 1), with gradient.

        L_i = -log( e^(z_i·z_i⁺ / τ) / Σ_{j ≠ i} e^(z_i·z_j / τ) )

    Args:
        first, second: floating point, shape [B, D], B ≥ 2 on all ranks together; normalised here.
        temperature, group, chunk_size: as in :func:`emprune.scoring.contrastive`.

    Returns:
        float32 (float64 for float64 views), shape [2B], in nats, > 0: first views and then second ones.

    Raises:
        ArgumentError: as :func:`emprune.scoring.contrastive`.

    >>> [round(value, 4) for value in ntxent(torch.ones(2, 3), torch.ones(2, 3)).tolist()]  # log 3
    [1.0986, 1.0986, 1.0986, 1.0986]
    """
    return _of_views(first, second, temperature, group, chunk_size, entropy=False).loss


@torch.no_grad()
def similarity_entropy(
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    temperature: float = 0.1,
    group: dist.ProcessGroup | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> torch.Tensor:
    """Entropy of each view's softmax over the other views: this project's memory term, without gradient.

        p_i(j) = softmax_{j ≠ i}( h_i·h_j / τ_h ),    M_i = -Σ_j p_i(j)·log p_i(j)

    Args:
        first, second: floating point, shape [B, D], B ≥ 2 on all ranks together; normalised here.
        temperature, group, chunk_size: as in :func:`emprune.scoring.contrastive`.

    Returns:
        float32 (float64 for float64 views), shape [2B], in nats, in [0, log(2B - 1)]: first views and then second
        ones.

    Raises:
        ArgumentError: as :func:`emprune.scoring.contrastive`.
    """
    return _of_views(first, second, temperature, group, chunk_size, entropy=True).entropy


def misalignment(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """1 - cos of the two views of each sample, without gradient.

    What a network memorises of a sample shows in how alike it makes the sample's views (in the sense of SSLMem, Wang
    et al., arXiv:2401.12233, where it is a difference between two networks; one network's part is this project's use).

    Args:
        first, second: floating point, shape [B, D], normalised here.

    Returns:
        float32 (float64 for float64 views), shape [B], in [0, 2].

    Raises:
        ArgumentError: shapes or dtypes do not fit, or features are zero.

    >>> misalignment(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0]])).tolist()
    [0.0, 1.0]
    """
    names = ("first", "second")
    check_pair(names, first, second)
    return one_minus_cosine(names, first, second)


def info_nce(
    queries: torch.Tensor,
    keys: torch.Tensor,
    queue: torch.Tensor,
    *,
    temperature: float = 0.2,
    chunk_size: int = CHUNK_SIZE,
) -> torch.Tensor:
    """MoCo's loss of each query (He et al., arXiv:1911.05722, equation 1), with gradient for the queries alone.

        L_i = -log( e^(q_i·k_i / τ) / (e^(q_i·k_i / τ) + Σ_{n ∈ queue} e^(q_i·n / τ)) )

    Args:
        queries, keys: floating point, shape [B, D]; row i of both is sample i; normalised here.
        queue: floating point, shape [K, D], K ≥ B; normalised here.
        temperature, chunk_size: as in :func:`emprune.scoring.contrastive_queue`.

    Returns:
        float32 (float64 for float64 queries), shape [B], in nats, > 0.

    Raises:
        ArgumentError: as :func:`emprune.scoring.contrastive_queue`.
    """
    check_queue(queries, keys, queue)
    check_settings(chunk_size, temperature=temperature)
    return among_keys(queries, keys, queue, temperature, entropy=False, chunk_size=chunk_size).loss


@torch.no_grad()
def one_minus_cosine(names: tuple[str, str], first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """As :func:`misalignment`, of matrices whose shapes have been checked.

    Args:
        names: of the arguments, for errors.
    """
    return (1 - cosines(normalised(names[0], first), normalised(names[1], second))).clamp(0, 2)


def _of_views(
    first: torch.Tensor,
    second: torch.Tensor,
    temperature: float,
    group: dist.ProcessGroup | None,
    chunk_size: int,
    *,
    entropy: bool,
) -> Choice:
    check_pair(("first", "second"), first, second)
    check_settings(chunk_size, temperature=temperature)
    ranks = meet(group, first, [first.shape[1]])
    check_enough(ranks.total)
    names = ("first", "second")
    return among_views(names, first, second, ranks, temperature, entropy=entropy, chunk_size=chunk_size)
