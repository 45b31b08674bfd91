"""The notebook runs from its first cell to its last, and holds what it prints."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "first-run.ipynb"


@pytest.mark.filterwarnings("ignore")  # of the kernel's own libraries
def test_it_runs_and_its_outputs_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(stored)
    fresh = copy.deepcopy(stored)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    NotebookClient(fresh, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for there, here in zip(stored.cells, fresh.cells, strict=True):
        assert [kinds(one) for one in there.get("outputs", [])] == [kinds(one) for one in here.get("outputs", [])]


def kinds(output: nbformat.NotebookNode) -> tuple[str, ...]:
    """What an output is; its numbers are those of the machine that stored it."""
    return (output.output_type, *sorted(output.get("data", {})))
