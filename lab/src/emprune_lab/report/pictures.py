"""What samples show, for the page: small images as one file, or texts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from emprune.errors import DataError
from emprune_lab.data import ImageData, LabelledData
from emprune_lab.inspection.functions import Show, called
from emprune_lab.inspection.pictures import seen

_MOST_SIDE = 48
"""Pixels; larger images are made smaller."""
_MOST_BYTES, _MOST_PIXELS = 1_500_000, 3_200_000
_MOST_CHARACTERS, _LONGEST = 500_000, 240
_QUALITY = 72


def shown_of_samples(show: Show, positions: NDArray[np.int64], room: float, name: str = "show") -> dict[str, Any]:
    """As many of the samples as fit into the page, the first ones first.

    Args:
        show: what a sample shows, by its position.
        name: of this function, for errors.
        positions: of samples, in the order of interest.
        room: part of the page's room that is theirs.

    Returns:
        positions: of those that are in it. Then of images ``sprite``, a WebP as base64 that has them in lines of
        ``columns`` tiles of ``side`` pixels; else ``texts``.

    Raises:
        DataError: ``show`` raises, gives what cannot be shown, or images of some samples and texts of others.
    """

    def look(position: int) -> Image.Image | str:
        return seen(called(show, name, position))

    if not len(positions):
        return {"positions": []}
    first = look(int(positions[0]))
    kind = str if isinstance(first, str) else Image.Image

    def alike(position: int) -> Any:
        found = look(position)
        if not isinstance(found, kind):
            raise DataError(f"{name} gives an image of some samples and text of others; allowed: one of the two.")
        return found

    if isinstance(first, str):
        return _texts(alike, positions, room)
    side = min(_MOST_SIDE, max(first.size))
    most = positions[: int(room * _MOST_PIXELS / side**2)]
    return _sprite([_tile(alike(int(one)), side) for one in most], most, side, room)


def show_of(data: LabelledData) -> Show:
    """What a sample of a labelled set shows: its image, drawings in grey dark on white as in the figures, or text."""
    if not isinstance(data, ImageData):
        return lambda position: text_of(data, position)
    top = 255 / max(1, int(data.images.max()))  # scikit-learn's digits end at 16

    def image(position: int) -> NDArray[np.uint8]:
        pixels = (data.images[position].numpy() * top).round().astype(np.uint8)
        return 255 - pixels if len(pixels) == 1 else pixels

    return image


def text_of(data: LabelledData, position: int) -> str:
    """A sample of text, its parts in lines."""
    one = data.inputs[torch.tensor([position])]
    return "\n".join([one.first[0], *([one.second[0]] if one.second else [])] if hasattr(one, "first") else [str(one)])


def _texts(show: Show, positions: NDArray[np.int64], room: float) -> dict[str, Any]:
    texts, left = [], room * _MOST_CHARACTERS
    for position in positions:
        lines = show(int(position)).split("\n")
        texts.append("\n".join(one if len(one) <= _LONGEST else one[: _LONGEST - 1] + "…" for one in lines))
        left -= len(texts[-1])
        if left < 0:
            break
    return {"positions": positions[: len(texts)].tolist(), "texts": texts}


def _sprite(tiles: Sequence[Image.Image], positions: NDArray[np.int64], side: int, room: float) -> dict[str, Any]:
    count = len(tiles)
    while count:
        content, columns = _encoded(tiles[:count], side)
        if len(content) <= room * _MOST_BYTES:
            break
        count = int(count * min(0.9, room * _MOST_BYTES / len(content)))
    else:
        return {"positions": []}
    return {
        "positions": positions[:count].tolist(), "side": side, "columns": columns,
        "sprite": base64.b64encode(content).decode(),
    }  # fmt: skip


def _tile(image: Image.Image, side: int) -> Image.Image:
    """A square of a whole image, white where it is no square or lets light through."""
    tile = image.convert("RGBA") if "A" in image.getbands() else image.convert("RGB")
    if max(tile.size) != side:
        factor = side / max(tile.size)
        width, height = (max(1, round(factor * one)) for one in tile.size)
        tile = tile.resize((width, height), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), "white")
    square.paste(tile, ((side - tile.width) // 2, (side - tile.height) // 2), tile if tile.mode == "RGBA" else None)
    return square


def _encoded(tiles: Sequence[Image.Image], side: int) -> tuple[bytes, int]:
    columns = -(-int(len(tiles) ** 0.5 * 10) // 10)
    sheet = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side))
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % columns * side, place // columns * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=_QUALITY, method=3)
    return buffer.getvalue(), columns
