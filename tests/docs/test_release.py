"""What a release says of itself agrees: versions, pinned packages, checks before a commit."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import emprune
import emprune_lab

ROOT = Path(__file__).parents[2]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_one_version() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    released = re.search(r"^## \[(\d\S+)\] - (\S+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert released
    assert released[1] == citation["version"] == emprune.__version__ == emprune_lab.__version__
    assert released[2] == str(citation["date-released"])
    for project in (".", "lab"):
        assert tomllib.loads(text(f"{project}/pyproject.toml"))["project"]["dynamic"] == ["version"]


@pytest.mark.parametrize("project", [".", "lab"])
def test_what_an_extra_asks_for_is_pinned(project: str) -> None:
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in text("constraints.txt").split()}
    settings = tomllib.loads(text(f"{project}/pyproject.toml"))["project"]
    asked = [*settings["dependencies"], *(one for extra in settings["optional-dependencies"].values() for one in extra)]
    names = {re.match(r"[\w-]+", one)[0].lower() for one in asked} - {"emprune"}  # type: ignore[index]
    assert names <= pinned


def test_before_a_commit_what_make_lint_and_types_run() -> None:
    [local] = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    made = re.findall(r"^(?:lint|types): .*\n((?:\t.*\n)+)", text("Makefile"), re.MULTILINE)
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for block in made for line in block.splitlines()]
    assert [hook["entry"] for hook in local["hooks"]] == commands
