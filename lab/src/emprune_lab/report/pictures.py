"""What a sample shows, for the page: small images as one file, or texts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from emprune_lab.data import ImageData, LabelledData

_MOST_SIDE = 48
"""Pixels; larger images are made smaller."""
_MOST_BYTES, _MOST_PIXELS = 1_500_000, 3_200_000
_MOST_CHARACTERS, _LONGEST = 500_000, 240
_QUALITY = 72


def shown_of_samples(data: LabelledData, positions: NDArray[np.int64], room: float) -> dict[str, Any]:
    """As many of the samples as fit into the page, the first ones first.

    Args:
        positions: of samples, in the order of interest.
        room: part of the page's room that is theirs.

    Returns:
        positions: of those that are in it. Then of images ``sprite``, a WebP as base64 that has them in lines of
        ``columns`` tiles of ``side`` pixels; else ``texts``.
    """
    return _sprite(data, positions, room) if isinstance(data, ImageData) else _texts(data, positions, room)


def text_of(data: LabelledData, position: int) -> str:
    """A sample of text; its parts in lines, shortened."""
    one = data.inputs[torch.tensor([position])]
    parts = [one.first[0], *([one.second[0]] if one.second else [])] if hasattr(one, "first") else [str(one)]
    return "\n".join(part if len(part) <= _LONGEST else part[: _LONGEST - 1] + "…" for part in parts)


def _texts(data: LabelledData, positions: NDArray[np.int64], room: float) -> dict[str, Any]:
    texts, left = [], room * _MOST_CHARACTERS
    for position in positions:
        texts.append(text_of(data, int(position)))
        left -= len(texts[-1])
        if left < 0:
            break
    return {"positions": positions[: len(texts)].tolist(), "texts": texts}


def _sprite(data: ImageData, positions: NDArray[np.int64], room: float) -> dict[str, Any]:
    height, width = data.images.shape[-2:]
    side = min(_MOST_SIDE, max(height, width))
    count = min(len(positions), int(room * _MOST_PIXELS / side**2))
    top = 255 / max(1, int(data.images.max()))  # scikit-learn's digits end at 16
    while count:
        content, columns = _encoded([_tile(data.images[int(one)], side, top) for one in positions[:count]], side)
        if len(content) <= room * _MOST_BYTES:
            break
        count = int(count * min(0.9, room * _MOST_BYTES / len(content)))
    else:
        return {"positions": []}
    return {
        "positions": positions[:count].tolist(), "side": side, "columns": columns,
        "sprite": base64.b64encode(content).decode(),
    }  # fmt: skip


def _tile(image: torch.Tensor, side: int, top: float) -> Image.Image:
    pixels = (image.numpy() * top).round().astype(np.uint8)
    # Drawings in grey are dark on white, as in the figures.
    tile = Image.fromarray(255 - pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)).convert("RGB")
    return tile if tile.size == (side, side) else tile.resize((side, side), Image.Resampling.LANCZOS)


def _encoded(tiles: Sequence[Image.Image], side: int) -> tuple[bytes, int]:
    columns = -(-int(len(tiles) ** 0.5 * 10) // 10)
    sheet = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side))
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % columns * side, place // columns * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=_QUALITY, method=3)
    return buffer.getvalue(), columns
