"""How well held-out text is predicted."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from emprune_lab.language.windows import IGNORED

Forward = Callable[[torch.Tensor], torch.Tensor]
"""Tokens, int64 [B, T] → logits [B, T, vocabulary]."""

_BATCH = 64


@torch.no_grad()
def nats(forward: Forward, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
    """The summed loss of all labelled tokens, in nats, and their number; summed in float64.

    Args:
        forward: of a model in evaluation mode.
        inputs, labels: int64, shape [W, T]; the label -100 counts nothing.
    """
    total = 0.0
    for tokens, expected in zip(inputs.split(_BATCH), labels.split(_BATCH), strict=True):  # type: ignore[no-untyped-call]
        loss = F.cross_entropy(forward(tokens).float().flatten(0, 1), expected.flatten(), reduction="none")
        total += float(loss.double().sum())
    return total, int((labels != IGNORED).sum())


def bits_per_character(forward: Forward, inputs: torch.Tensor, labels: torch.Tensor, characters: float) -> float:
    """Bits that a language model needs for a character: nats of all tokens / (ln 2 · characters); lower is better.

    For byte pairs as exact as for characters, since all tokens of the text count: it is the length of a code of the
    text, an upper bound of what the model would need if all spellings of the text as tokens were summed.

    Args:
        inputs, labels: windows in which every token is predicted once, see :func:`scored_once`.
        characters: that the labelled tokens stand for.
    """
    return nats(forward, inputs, labels)[0] / math.log(2) / characters


def bits_per_token(forward: Forward, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Bits for a labelled token, mean over all of them; lower is better."""
    total, tokens = nats(forward, inputs, labels)
    return total / math.log(2) / tokens
