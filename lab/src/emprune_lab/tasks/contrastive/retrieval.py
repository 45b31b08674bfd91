"""Instance retrieval: whether a representation knows a sample's other view among the views of others."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize


@torch.no_grad()
def retrieved(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Whether each sample's two views are each other's nearest neighbours, by cosine: instance retrieval.

    True where both directions succeed: the second view is strictly nearer to the first than any other view, of any
    sample given, is, and the first is to the second. A collapsed representation, which has nothing but ties, retrieves
    none. Compare only what comes of the same samples in the same batches: the larger they are, the harder the task.

    Values are not checked and no device is waited for: training steps call this.

    Args:
        first, second: float32 or float64, shape [B, D], any norm. With a NaN anywhere none is retrieved.

    Returns:
        bool, shape [B].
    """
    both = normalize(torch.cat([first, second]))
    likeness = (both @ both.T).fill_diagonal_(-torch.inf)
    places = torch.arange(len(both), device=both.device)
    others = places.roll(len(first))
    of_other_view = likeness[places, others]
    likeness[places, others] = -torch.inf
    return (of_other_view > likeness.amax(1)).view(2, -1).all(0)
