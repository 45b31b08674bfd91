"""What a model of text is trained to predict: the next token, or hidden ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch.nn import functional as F

from emprune_lab.tasks.text.masking import masked, masked_once
from emprune_lab.tasks.text.windows import IGNORED, TextData, scored_once

Forward = Callable[[torch.Tensor], torch.Tensor]
"""Tokens, int64 [B, T] → logits [B, T, vocabulary]."""

_PLAIN = -1  # stands for an epoch that is none
_BATCH = 64


class Windows(NamedTuple):
    """Inputs and labels, int64, shape [N, T]; what is not predicted has the label -100."""

    inputs: torch.Tensor
    labels: torch.Tensor

    def some(self, every: int, device: torch.device) -> Windows:
        """One window of ``every``, at even distances, on a device."""
        return Windows(self.inputs[::every].to(device), self.labels[::every].to(device))


class Objective(Protocol):
    """Training windows and the measure of held-out text.

    Attributes:
        metric: name of the measure.
    """

    metric: str

    def training(self, epoch: int) -> Windows:
        """What the samples are in an epoch, in the order of their ids."""

    def plain(self) -> Windows:
        """What they are where they are only scored: the same on every call."""

    def held_out(self, forward: Forward, device: torch.device, every: int) -> float:
        """The measure on held-out text.

        Args:
            forward: of a model in evaluation mode. device: where it takes its tokens.
            every: 1: all of the text; n: one window of n, for a quick look.
        """


class NextToken:
    """Predict each token from those before it in its window; measured in bits per character, lower is better.

    Held-out text is read in windows that overlap by half, and each token is scored once, in the first window that has
    it: with at least T/2 tokens before it. A quick look takes some of these windows, always the same.

    Bits per character are for byte pairs as exact as for characters, since all tokens of the text count: the length
    of a code of the text, an upper bound of what the model would need if all spellings of it as tokens were summed.
    """

    metric = "bits per character"

    def __init__(self, data: TextData) -> None:
        self._windows = Windows(data.windows[:, :-1], data.windows[:, 1:])
        self._held_out = Windows(*scored_once(data.held_out, data.length, -(-data.length // 2)))
        self._characters_per_token = data.held_out_characters / (len(data.held_out) - 1)

    def training(self, epoch: int) -> Windows:
        return self._windows

    def plain(self) -> Windows:
        return self._windows

    def held_out(self, forward: Forward, device: torch.device, every: int) -> float:
        total, tokens = bits(forward, self._held_out.some(every, device))
        return total / (tokens * self._characters_per_token)


class HiddenToken:
    """Predict 15 % of a window's tokens from all others, new ones in every epoch; measured in bits a hidden token.

    Args:
        seed: of the masking while training. Held-out text is masked the same for all seeds, every token once; the last
            tokens, which fill no window, are left out.
    """

    metric = "bits per masked token"

    def __init__(self, data: TextData, seed: int) -> None:
        self._windows, self._mask, self._seed = data.windows[:, 1:], data.mask, seed
        self._plain = Windows(*masked(self._windows, self._mask, seed, _PLAIN))
        self._made = _PLAIN, self._plain
        count = (len(data.held_out) - 1) // data.length
        held_out = data.held_out[1 : 1 + count * data.length].view(count, data.length)
        self._held_out = Windows(*masked_once(held_out, data.mask))

    def training(self, epoch: int) -> Windows:
        if self._made[0] != epoch:
            self._made = epoch, Windows(*masked(self._windows, self._mask, self._seed, epoch))
        return self._made[1]

    def plain(self) -> Windows:
        return self._plain

    def held_out(self, forward: Forward, device: torch.device, every: int) -> float:
        total, tokens = bits(forward, self._held_out.some(every, device))
        return total / tokens


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
