"""The score table as a file: ids, scores and counts, for a fixed subset or a look with other tools."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.errors import ArgumentError
from emprune.table import MEAN_LOSS, ScoreTable

SUFFIXES = (".npz", ".csv", ".parquet")


def columns(table: ScoreTable) -> dict[str, NDArray[Any]]:
    """id (int64), loss, memory (float32, nats), last_seen, times_trained (int32), each of shape [rows].

    And mean_loss (float32, nats, NaN where never seen) where the pruner remembers it.
    """
    mean = {"mean_loss": table.extra[MEAN_LOSS]} if MEAN_LOSS in table.extra else {}
    return {
        "id": np.arange(table.owned.begin, table.owned.end, dtype=np.int64),
        "loss": table.loss,
        "memory": table.memory,
        "last_seen": table.last_seen,
        "times_trained": table.times_trained,
        **mean,
    }


def export(table: ScoreTable, path: str | Path) -> Path:
    """Write the table to ``path``; the suffix says how: .npz, .csv or .parquet (which needs pyarrow).

    Raises:
        ArgumentError: another suffix, or .parquet without pyarrow.
    """
    path = Path(path)
    data = columns(table)
    if path.suffix == ".npz":
        np.savez_compressed(path, **data)  # type: ignore[arg-type]
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(data)
            writer.writerows(zip(*(column.tolist() for column in data.values()), strict=True))
    elif path.suffix == ".parquet":
        _write_parquet(data, path)
    else:
        raise ArgumentError("path", str(path), f"a name that ends in {', '.join(SUFFIXES)}")
    return path


def _write_parquet(data: dict[str, NDArray[Any]], path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ArgumentError("path", str(path), ".npz or .csv without pyarrow", "pip install pyarrow.") from error
    pyarrow.parquet.write_table(pyarrow.table(data), path)
