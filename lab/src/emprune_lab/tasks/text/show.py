"""What the windows of a text say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from emprune_lab.data import Split
from emprune_lab.tasks.text.corpus import read_split
from emprune_lab.tasks.text.vocabularies import vocabulary_of
from emprune_lab.tasks.text.windows import cut


def show(
    data: str, recipe: Mapping[str, Any], data_dir: str | Path | None, split: Split
) -> tuple[Callable[[int], str], int]:
    """The text of a window, the token before those that it predicts included, by its position; and how many there are.

    Args:
        recipe: as stored.

    Raises:
        DataError: the text is missing, or another one than the recipe names.
    """
    text = read_split(data, data_dir, recipe.get("text", ""), split)
    vocabulary = vocabulary_of(text, recipe["vocabulary"])
    windows = cut(torch.from_numpy(vocabulary.encode(text.train)), recipe["window"])
    size = recipe.get("train_size")
    return lambda position: vocabulary.decode(windows[position].tolist()), len(windows) if size is None else size
