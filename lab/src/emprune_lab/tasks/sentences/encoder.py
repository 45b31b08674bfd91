"""Sentences as the models see them: token ids in one integer tensor, and the encoder that makes one vector of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from emprune_lab.tasks.sentences.glue import Sentences
from emprune_lab.tasks.sentences.pretrained import Attention, load_encoder

_GROUP = 16
"""So many sentences of similar length go through the encoder together where that costs nothing: on a processor."""
_PADDING = -1


class ResidentSentences:
    """A set's sentences, tokenised once, on the device; they leave it in batches as long as their longest sentence.

    Args:
        tokenizer: of transformers.
        max_length: tokens of a sample, special ones included; longer ones are cut.
    """

    def __init__(self, sentences: Sentences, tokenizer: Any, max_length: int, device: torch.device) -> None:
        texts = [list(part) for part in (sentences.first, sentences.second) if part is not None]
        found = tokenizer(*texts, truncation=True, max_length=max_length, return_token_type_ids=True)
        lengths = [len(ids) for ids in found["input_ids"]]
        packed = np.full((len(lengths), 2, max(lengths)), _PADDING, dtype=np.int32)
        for row, ids, kinds in zip(packed, found["input_ids"], found["token_type_ids"], strict=True):
            row[:, : len(ids)] = ids, kinds
        self._lengths = torch.tensor(lengths)
        self._packed = torch.from_numpy(packed).to(device)

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, which: torch.Tensor | slice) -> torch.Tensor:
        """int64, shape [B, 2, T]: token ids and segments, −1 behind a sentence's end."""
        longest = int(self._lengths[which].max())
        return self._packed[which][:, :, :longest].long()


class SentenceEncoder(nn.Module):
    """From packed sentences [B, 2, T] to features [B, D], the mean of a sentence's last hidden states.

    Args:
        encoder: a module of transformers.
        segments: whether it takes segments.
    """

    def __init__(self, encoder: nn.Module, *, segments: bool) -> None:
        super().__init__()
        self.encoder, self.segments = encoder, segments

    def forward(self, packed: torch.Tensor) -> torch.Tensor:
        """Features in the order of the sentences; on a processor, similar lengths are computed together."""
        if packed.device.type != "cpu" or len(packed) <= _GROUP:
            return self._features(packed)
        lengths = (packed[:, 0] != _PADDING).sum(1)
        order = lengths.argsort(stable=True)
        groups = [self._features(packed[part][:, :, : lengths[part[-1]]]) for part in torch.split(order, _GROUP)]
        return torch.cat(groups)[order.argsort()]

    def _features(self, packed: torch.Tensor) -> torch.Tensor:
        mask = packed[:, 0] != _PADDING
        ids, segments = packed.clamp(min=0).unbind(1)
        more = {"token_type_ids": segments} if self.segments else {}
        hidden = self.encoder(input_ids=ids, attention_mask=mask.long(), **more).last_hidden_state
        return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)  # type: ignore[no-any-return]


def sentence_classifier(
    model: str, tokenizer: Any, num_classes: int, seed: int, dropout: float, attention: Attention = "sdpa"
) -> nn.Sequential:
    """A pretrained encoder and a linear head drawn from ``seed`` alone: N(0, 0.02²), biases 0.

    Raises:
        ArgumentError: as of :func:`emprune_lab.tasks.sentences.pretrained.load_encoder`.
    """
    with torch.random.fork_rng():  # both draw weights before they are overwritten
        encoder = load_encoder(model, dropout, attention)
        head = nn.Linear(int(encoder.config.hidden_size), num_classes)
    drawn = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(seed))
    head.load_state_dict({"weight": 0.02 * drawn, "bias": torch.zeros(num_classes)})
    segments = "token_type_ids" in tokenizer.model_input_names
    return nn.Sequential(SentenceEncoder(encoder, segments=segments), head)
