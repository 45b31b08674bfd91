"""Fixed windows over a token stream: a training sample is a window, and every held-out token is scored once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from emprune.errors import ArgumentError
from emprune_lab.tasks.text.corpus import SplitText
from emprune_lab.tasks.text.vocabularies import vocabulary_of

IGNORED = -100
"""The label of a token that is not predicted."""


@dataclass(frozen=True)
class TextData:
    """A text as windows in memory.

    Attributes:
        windows: int64, [N, T + 1], the training samples. Each begins with the last token of the one before it: T
            tokens go in, T are predicted, and every token of the stream but the first is predicted by one sample.
        held_out: int64, the held-out tokens, behind the last one of the training text: that one is context.
        held_out_characters: how many characters they stand for.
        vocabulary_size: tokens lie below; ``mask``, the last one, occurs in no text.
    """

    name: str
    windows: torch.Tensor
    held_out: torch.Tensor
    held_out_characters: int
    vocabulary_size: int

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def length(self) -> int:
        """T."""
        return self.windows.shape[1] - 1

    @property
    def mask(self) -> int:
        return self.vocabulary_size - 1


def text_data(text: SplitText, vocabulary: str, length: int) -> TextData:
    """Encode a text and cut it into windows; the last tokens of the training text that fill none are left out.

    Args:
        vocabulary: "characters" or "bpe" and a number; see :func:`vocabulary_of`.
        length: T, tokens that a window predicts.

    Raises:
        ArgumentError: the vocabulary is unknown, or the training text fills no window.
    """
    tokens_of = vocabulary_of(text, vocabulary)
    train, held_out = (torch.from_numpy(tokens_of.encode(part)) for part in (text.train, text.held_out))
    if not 1 <= length < len(train):
        raise ArgumentError("window", length, f"an integer from 1 to {len(train) - 1}, the tokens of {text.name}")
    behind = torch.cat([train[-1:], held_out])
    return TextData(text.name, cut(train, length), behind, len(text.held_out), tokens_of.size)


def first_windows(data: TextData, count: int) -> TextData:
    """The data with its first windows only. Raises ArgumentError where there are fewer."""
    if not 1 <= count <= len(data):
        raise ArgumentError("train_size", count, f"an integer from 1 to {len(data)}")
    return replace(data, windows=data.windows[:count])


def cut(tokens: torch.Tensor, length: int) -> torch.Tensor:
    """Windows of ``length`` + 1 tokens, each beginning with the last token of the one before it.

    >>> cut(torch.arange(8), 3).tolist()
    [[0, 1, 2, 3], [3, 4, 5, 6]]
    """
    return tokens.unfold(0, length + 1, length)


def scored_once(tokens: torch.Tensor, length: int, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping windows in which every token but the first is predicted exactly once.

    A window begins ``stride`` tokens after the one before it and predicts only what that one did not. So every
    prediction sees at least ``length`` - ``stride`` tokens before its own input, where the text has that many.

    Args:
        tokens: int64, shape [M].
        length: T.
        stride: in [1, T]; T: no overlap.

    Returns:
        Inputs and labels, int64, shape [W, T]. What is not predicted has the label -100.

    >>> inputs, labels = scored_once(torch.arange(7), length=4, stride=2)
    >>> inputs.tolist(), labels.tolist()
    ([[0, 1, 2, 3], [2, 3, 4, 5]], [[1, 2, 3, 4], [-100, -100, 5, 6]])
    """
    if not 1 <= stride <= length:
        raise ArgumentError("stride", stride, f"an integer from 1 to {length}")
    predicted = len(tokens) - 1
    count = 1 + max(0, -(-(predicted - length) // stride))
    at = torch.arange(count)[:, None] * stride + torch.arange(length)
    labels = tokens[(at + 1).clamp(max=predicted)]
    labels[at >= predicted] = IGNORED
    labels[1:, : length - stride] = IGNORED
    return tokens[at.clamp(max=predicted)], labels
