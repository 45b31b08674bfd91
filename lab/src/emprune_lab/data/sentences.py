"""SentenceData, a set of sentences or sentence pairs in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from emprune_lab.data.labelled import LabelledData


@dataclass(frozen=True)
class Sentences:
    """N sentences, or N pairs.

    Attributes:
        first: N texts. second: as many, or None where a sample is one sentence.
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, which: torch.Tensor | slice) -> Sentences:
        places = range(len(self))[which] if isinstance(which, slice) else which.tolist()
        second = None if self.second is None else tuple(self.second[place] for place in places)
        return Sentences(tuple(self.first[place] for place in places), second)


@dataclass(frozen=True)
class SentenceData(LabelledData):
    """Labelled sentences or pairs."""

    inputs: Sentences
    test_inputs: Sentences
