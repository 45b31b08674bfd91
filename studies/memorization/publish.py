"""The study's files: memorization.json, its tables and two figures."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from studies.memorization.figures import correlations_figure, pruned_figure
from studies.memorization.study import Condition, Study
from studies.memorization.summary import summarise
from studies.memorization.tables import tables

from emprune_lab.records.provenance import device_name, git_commit, versions
from emprune_lab.records.results import write_atomically
from emprune_lab.report.style import png

SCHEMA_VERSION = 1
RESULT_FILE = "memorization.json"
_DIGITS = 4
_COLOURS = 64
_PLAIN_LIST = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")


def publish(
    study: Study, conditions: Sequence[Condition], folder: Path, *, command: str, origin: dict[str, Any]
) -> list[Path]:
    """Write what the models say.

    Args:
        origin: where the folder's first models come from.

    Returns:
        The files.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "study": {name: value for name, value in dataclasses.asdict(study).items() if name != "data_dir"},
        "models_from": origin,
        "summarised_by": {"git_commit": git_commit(), "device": device_name("cpu"), "versions": versions()},
        "conditions": rounded([summarise(condition) for condition in conditions]),
    }
    files: dict[str, str | bytes] = {
        RESULT_FILE: dump(document),
        "table.md": tables(study.data, document["conditions"]),
        "correlations.png": few_colours(png(correlations_figure(document["conditions"]))),
        "pruned.png": few_colours(png(pruned_figure(document["conditions"]))),
    }
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]


def few_colours(image: bytes) -> bytes:
    """The same PNG with a palette: a third of the bytes, since the figure is kept beside the code."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(image)).convert("RGB").quantize(_COLOURS).save(packed, format="png", optimize=True)
    return packed.getvalue()


def rounded(value: Any) -> Any:
    """JSON values with floats of four digits after the point, and None for what is not finite.

    >>> rounded({"a": [0.123456, float("nan")], "b": 7})
    {'a': [0.1235, None], 'b': 7}
    """
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value


def dump(document: Any) -> str:
    """Indented JSON in which a list of plain values stays on its line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return _PLAIN_LIST.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n"
