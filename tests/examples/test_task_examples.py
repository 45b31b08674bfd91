"""Scripts of tasks and of accelerate learn with pruning and without: four lines differ, beside imports."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from patching import patched

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = {  # what a script prints: a number that must be at least this, or at most
    "binary_labels": (r"accuracy ([\d.]+)%", 6, ">", 90),
    "several_labels": (r"^([\d.]+)% of the labels", 8, ">", 80),
    "segmentation": (r"class of ([\d.]+)%", 6, ">", 30),
    "accelerate_digits": (r"accuracy ([\d.]+)%", 8, ">", 75),
    "regression": (r"test error ([\d.]+)", 20, "<", 0.85),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_four_lines_make_a_script_prune(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pruned, diff = ((EXAMPLES / f"{name}.{suffix}").read_text() for suffix in ("py", "diff"))
    changed = [line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert len([line for line in changed if line and not line.startswith(("from ", "import "))]) == 4
    plain = patched(pruned, diff, reverse=True)
    assert "emprune" not in plain.split('"""')[2]
    printed, epochs, sign, bound = SCRIPTS[name]
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--epochs", str(epochs)])
    for script in (pruned, plain):
        exec(compile(script, name, "exec"), {"__name__": "__main__", "__doc__": "A script."})
        value = float(re.search(printed, capsys.readouterr().out)[1])  # type: ignore[index]
        assert value > bound if sign == ">" else value < bound
