"""Write the study's table, and its runs where a folder of comparisons is given: ``python -m studies.gate [FOLDER]``."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from studies.gate.table import table

FOLDER = Path(__file__).parent


def main(folder: str | None = None) -> None:
    """Args: folder: holds comparisons, each with a results.json; None: the runs that are committed."""
    path = FOLDER / "runs.json"
    if folder is not None:
        found = [json.loads(file.read_text("utf-8")) for file in sorted(Path(folder).glob("*/results.json"))]
        lines = [json.dumps({**run, "command": anywhere(run["command"])}) for runs in found for run in runs]
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    (FOLDER / "table.md").write_text(table(json.loads(path.read_text("utf-8"))), encoding="utf-8")


def anywhere(command: str) -> str:
    """A command without the folders of the machine that it was run on.

    >>> anywhere("emprune compare --data cola --out /home/me/gate/cola --data-dir /data")
    'emprune compare --data cola --out runs/gate/cola --data-dir DIR'
    """
    command = re.sub(r"--out \S*/", "--out runs/gate/", command)
    return re.sub(r"--data-dir \S+", "--data-dir DIR", command)


if __name__ == "__main__":
    main(*sys.argv[1:])
