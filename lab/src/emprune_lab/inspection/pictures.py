"""What a sample shows: an image or text, whichever of many forms a function gives, and as a page can hold it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emprune.errors import DataError

_MOST_PIXELS, _LEAST_PIXELS, MOST_LETTERS = 160, 96, 600
_ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}
_ALLOWED = "an image of PIL, an array [H, W], [H, W, C] or [C, H, W] with C = 1, 3 or 4, the path of an image, or text"


@dataclass(frozen=True)
class Picture:
    """A sample: an image as a data URI, or text; the other is empty."""

    image: str = ""
    text: str = ""


def picture(value: Any) -> Picture:
    """What a user's function gave, for the page. Raises DataError as :func:`seen`."""
    found = seen(value)
    return Picture(text=found) if isinstance(found, str) else Picture(_uri(found))


def seen(value: Any) -> Image.Image | str:
    """What a user's function gave, as an image or as text, which is cut where it is long.

    Args:
        value: an image of PIL; an array or tensor of integers in [0, 255] or numbers, which are scaled to their range
            unless they lie in [0, 1]; a path, or text that names an image that is there; or other text.

    Raises:
        DataError: it is nothing of these, or a file that is no image.
    """
    if isinstance(value, str) and not (Path(value[:1000]).suffix.lower() in _ENDINGS and Path(value).is_file()):
        return value if len(value) <= MOST_LETTERS else value[:MOST_LETTERS] + " …"
    if isinstance(value, str | Path):
        try:
            with Image.open(value) as opened:
                return opened.copy()
        except (OSError, ValueError) as error:
            raise DataError(f"{value} is no image that can be read: {error}") from error
    if isinstance(value, Image.Image):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().float().numpy() if value.is_floating_point() else value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "buif":
        raise DataError(f"a {type(value).__name__} cannot be shown; allowed: {_ALLOWED}.")
    return Image.fromarray(_pixels(value))


def _pixels(array: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8, shape [H, W], [H, W, 3] or [H, W, 4]."""
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if 0 in array.shape or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4))):
        raise DataError(f"an array of shape {array.shape} cannot be shown; allowed: {_ALLOWED}.")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind in "ui" and array.min() >= 0 and array.max() <= 255:
        return array.astype(np.uint8)
    values = np.nan_to_num(array.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        values = (values - low) / (high - low)
    return (values * 255).round().astype(np.uint8)


def _mode(image: Image.Image) -> str:
    return "RGBA" if "A" in image.getbands() else "L" if image.mode in ("1", "L") else "RGB"


def _uri(image: Image.Image) -> str:
    shown = image.convert(_mode(image))
    shown.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    if max(shown.size) < _LEAST_PIXELS // 2:  # small ones stay sharp
        factor = _LEAST_PIXELS // max(shown.size)
        shown = shown.resize((shown.width * factor, shown.height * factor), Image.Resampling.NEAREST)
    file = io.BytesIO()
    shown.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
