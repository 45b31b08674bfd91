"""Write the study's table: ``python -m studies.gate``."""

from __future__ import annotations

import json
from pathlib import Path

from studies.gate.table import table

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    runs = json.loads((FOLDER / "runs.json").read_text(encoding="utf-8"))
    (FOLDER / "table.md").write_text(table(runs), encoding="utf-8")
