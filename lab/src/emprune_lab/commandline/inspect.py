"""``emprune inspect``: what a run has learnt of its data, from a pruner's state or export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console


@dataclass(frozen=True)
class Inspect:
    """Show what a run has learnt of its data: hard, forgotten and probably mislabelled samples."""

    scores: tyro.conf.Positional[Path]
    """A pruner's state (a file of emprune.checkpoint.save or torch.save, a checkpoint that holds one, the folder it
    lies in), what Pruner.export wrote, or the folder of a run of emprune compare."""
    labels: str | None = None
    """Labels: a .npy file, a text file with one a line, or module:function without arguments."""
    show: str | None = None
    """What a sample shows: module:function or file.py:function, from an id to an image (of PIL, an array, the path of a
    file) or text."""
    number: int = 100
    """Samples in each list."""
    out: Path = Path("runs/inspect")
    """Folder of suspects.csv, gallery.html and summary.json."""
    json: bool = False
    """Print the numbers as JSON on standard output."""

    def announced(self) -> str:
        """Nothing: the tables say what was read."""
        return ""

    def __call__(self, console: Console, command: str) -> int:
        from emprune_lab.commandline.inspecting import inspect

        return inspect(
            self.scores, self.out, console, labels=self.labels, show=self.show, number=self.number, as_json=self.json
        )
