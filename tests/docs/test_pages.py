"""Every page's code runs as it stands there, from the first block to the last; commands are understood, files exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import torch
import tyro
from patching import changed
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from emprune_lab.commandline.commands import Compare, Methods, Report, Train
from emprune_lab.commandline.inspect import Inspect

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "lab" / "README.md"]
COMMANDS = {"compare": Compare, "inspect": Inspect, "methods": Methods, "report": Report, "train": Train}
EXAMPLES = {
    "accelerate.md": ["accelerate_digits"],
    "lightning.md": ["lightning_digits"],
    "trainer.md": ["trainer_text"],
    "README.md": ["trainer_text", "lightning_digits"],
}
"""Pages that show the lines in which an example differs from the same script without pruning."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: f"{page.parent.name}-{page.stem}"
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on workers
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # what Lightning itself calls
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # torchdata 0.11 calls it
@pytest.mark.filterwarnings("ignore:no memory term")  # what these pages speak of
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)
    examples = list(document.examples())
    visible = page.read_text("utf-8").count("```python\n")
    assert sum("invisible" not in document.text[one.start : one.start + 20] for one in examples) >= visible
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize(("page", "example"), [(page, one) for page, names in EXAMPLES.items() for one in names])
def test_lines_that_change_are_those_of_the_example(page: str, example: str) -> None:
    """What is applied and run by the tests of examples; imports aside, where a page leaves them out."""
    diff = (ROOT / "examples" / f"{example}.diff").read_text("utf-8")
    for side in "+-":
        applied = changed(diff, side)
        shown = [changed(block, side) for block in blocks(ROOT / page if page == "README.md" else DOCS / page, "diff")]
        own = [lines for lines in shown if set(lines) <= set(applied)]
        assert any({line for line in applied if line and "import" not in line} <= set(lines) for lines in own), shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_commands_of_a_page_are_understood(page: Path) -> None:
    extras = {
        f"{folder}{name}": set(
            tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        )
        for folder, name in ((".", ""), ("lab", ""))
    }
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in re.findall(r"^ {4,}((?:emprune|make|pip) .*)", page.read_text("utf-8"), re.MULTILINE):
        first, *words = shlex.split(line, comments=True)
        if first == "emprune":
            tyro.cli(COMMANDS[words[0]], args=words[1:])
        elif first == "make":
            assert words[0] in targets
        for folder, names in re.findall(r"(\.|lab)\[([\w,]+)\]", line):
            assert set(names.split(",")) <= extras[folder], line


def test_files_that_the_readme_names_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)[)#]", readme):
        assert (ROOT / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130


def test_every_page_is_in_the_contents() -> None:
    listed = {
        name.strip()
        for index in (DOCS / "index.md", DOCS / "api" / "index.md")
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", index.read_text("utf-8"), re.DOTALL)
        for name in tree.splitlines()
    }
    pages = {path.stem for path in DOCS.rglob("*") if path.suffix in (".md", ".ipynb")} - {"index"}
    assert pages <= listed
