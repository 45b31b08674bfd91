"""Tables and figure of the pages are those that the committed runs make."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies.map.page import filled

from docs import made

ROOT = made.ROOT


@pytest.mark.parametrize("page", made.PAGES, ids=lambda page: page.stem)
def test_tables_of_a_page_are_those_of_the_runs(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "<!-- made: " in text
    assert filled(text, made.tables()) == text, "python -m docs.made"


def test_the_figure_is_that_of_the_runs() -> None:
    assert made.figure() == made.FIGURE.read_text("utf-8"), "python -m docs.made"


def test_no_made_table_is_left_out() -> None:
    pages = "".join(page.read_text("utf-8") for page in made.PAGES)
    assert all(f"<!-- made: {name} -->" in pages for name in made.tables())


@pytest.mark.parametrize(
    ("folders", "heading", "rows"),
    [
        (["language/cola", "language/mrpc"], "## Fine-tuning on language", 6),
        (["simclr/policies"], "## Pre-training without labels", 6),
    ],
)
def test_every_cell_of_a_table_of_several_measures_is_in_the_committed_tables(
    folders: list[str], heading: str, rows: int
) -> None:
    section = (ROOT / "docs" / "results.md").read_text("utf-8").split(heading)[1].split("\n## ")[0]
    committed = [(ROOT / "studies" / folder / "table.md").read_text("utf-8").splitlines() for folder in folders]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == rows
    for policy, *cells in lines:
        held = [line for text in committed for line in text if policy in line.strip("| ").split(" | ")]
        for cell in cells:
            for number in cell.split(", ", 1):
                assert any(number.strip("*") in line for line in held), (policy, number)
