"""The settings that only text has, and its recipes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from emprune_lab.specs.recipe import Preset, Recipe, TaskSettings
from emprune_lab.tasks.text.corpus import digest_of, read_text


@dataclass(frozen=True)
class TextSettings(TaskSettings):
    """What a recipe says of text alone.

    Attributes:
        vocabulary: "characters", or "bpe" and the number of byte pairs.
        window: tokens of a sample.
        dropout: in [0, 1).
        text: what identifies a text without a published name.
    """

    vocabulary: str
    window: int
    dropout: float = 0.0
    text: str = ""

    def identified(self, data: str, data_dir: str | None) -> TextSettings:
        """With the digest of a text that has no published name. Raises DataError where it is missing."""
        return dataclasses.replace(self, text=digest_of(read_text(data_dir))) if data == "text" else self


_GPT = Recipe(
    model="gpt-4x128", epochs=8, batch_size=16, max_lr=3e-3, weight_decay=0.1, optimizer="adamw", schedule="linear",
    pct_start=0.1, clip_norm=1.0, task=TextSettings("bpe2048", window=64),
)  # fmt: skip

PRESETS = {
    "bpe-gpt": Preset(_GPT, "this project"),
    "char-gpt": Preset(
        _GPT.changed(model="gpt-3x96", epochs=6, max_lr=4e-3, vocabulary="characters"), "this project"
    ),
    "mlm-bert": Preset(
        _GPT.changed(model="bert-2x128", epochs=10, vocabulary="bpe512", window=32), "this project"
    ),
}  # fmt: skip
"""Every preset by name."""
