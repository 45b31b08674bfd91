"""What a model of text is trained to predict: the next token, or hidden ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch.nn import functional as F

from emprune_lab.tasks.text.masking import masked, masked_once
from emprune_lab.tasks.text.windows import IGNORED, TextData, scored_once

Forward = Callable[[torch.Tensor], torch.Tensor]
"""Tokens, int64 [B, T] → logits [B, T, vocabulary]."""
PER_CHARACTER, PER_MASKED_TOKEN = "bits per character", "bits per masked token"

_PLAIN = -1  # stands for an epoch that is none
_BATCH = 64


class Windows(NamedTuple):
    """Inputs and labels, int64, shape [N, T]; what is not predicted has the label -100."""

    inputs: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Objective:
    """Training windows and the measure of held-out text.

    Attributes:
        metric: name of the measure, bits per character or token; lower is better.
        training: epoch → what the samples are in it, in the order of their ids.
        plain: what they are where they are only scored.
        held_out: windows of held-out text in which every token is predicted once.
        characters: of the measure, that a predicted token stands for; 1 where it is per token.
    """

    metric: str
    training: Callable[[int], Windows]
    plain: Windows
    held_out: Windows
    characters: float = 1.0

    def measured(self, forward: Forward, device: torch.device, every: int) -> float:
        """The measure on held-out text.

        Args:
            forward: of a model in evaluation mode.
            device: where it takes its tokens.
            every: 1: all of the text; n: one window of n, at even distances, for a quick look.
        """
        some = Windows(*(part[::every].to(device) for part in self.held_out))
        total, tokens = bits(forward, some)
        return total / (tokens * self.characters)


def next_token(data: TextData) -> Objective:
    """Predict each token from those before it in its window; measured in bits per character.

    Held-out text is read in windows that overlap by half, and each token is scored once, in the first window that has
    it: with at least T/2 tokens before it.

    Bits per character are for byte pairs as exact as for characters, since all tokens of the text count: the length
    of a code of the text, an upper bound of what the model would need if all spellings of it as tokens were summed.
    """
    windows = Windows(data.windows[:, :-1], data.windows[:, 1:])
    held_out = Windows(*scored_once(data.held_out, data.length, -(-data.length // 2)))
    characters = data.held_out_characters / (len(data.held_out) - 1)
    return Objective(PER_CHARACTER, lambda epoch: windows, windows, held_out, characters)


def hidden_token(data: TextData, seed: int) -> Objective:
    """Predict 15 % of a window's tokens from all others, new ones in every epoch; measured in bits a hidden token.

    Args:
        seed: of the masking while training. Held-out text is masked the same for all seeds, every token once; the last
            tokens, which fill no window, are left out.
    """

    @lru_cache(maxsize=1)
    def training(epoch: int) -> Windows:
        return Windows(*masked(data.windows[:, 1:], data.mask, seed, epoch))

    count = (len(data.held_out) - 1) // data.length
    held_out = data.held_out[1 : 1 + count * data.length].view(count, data.length)
    return Objective(PER_MASKED_TOKEN, training, training(_PLAIN), Windows(*masked_once(held_out, data.mask)))


@torch.no_grad()
def bits(forward: Forward, windows: Windows) -> tuple[float, int]:
    """The summed loss of all labelled tokens, in bits, and their number; summed in float64.

    Args:
        forward: of a model in evaluation mode.
    """
    total = 0.0
    for tokens, expected in zip(*(part.split(_BATCH) for part in windows), strict=True):  # type: ignore[no-untyped-call]
        loss = F.cross_entropy(forward(tokens).float().flatten(0, 1), expected.flatten(), reduction="none")
        total += float(loss.double().sum())
    return total / math.log(2), int((windows.labels != IGNORED).sum())
