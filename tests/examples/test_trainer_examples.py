"""The examples with a Trainer run, and the one without pruning becomes one that prunes by the four lines shown."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from patching import changed, patched
from trainer_runs import EXAMPLES

SCRIPT = (EXAMPLES / "trainer_text.py").read_text()
DIFF = (EXAMPLES / "trainer_text.diff").read_text()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a script's text with arguments, in this process; gives the last line it printed."""

    def run_script(script: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["script.py", "--out", str(tmp_path / "out"), *arguments])
        exec(compile(script, "script.py", "exec"), {"__name__": "__main__"})
        return capsys.readouterr().out.splitlines()[-1]

    return run_script


def test_four_lines_make_a_script_prune(run: Any) -> None:
    assert len(changed(DIFF, "+")) == 4
    whole = run(SCRIPT, "--epochs", "1")
    assert whole.endswith(" 50 updates")  # 800 sentences, 16 in a batch
    pruned = run(patched(SCRIPT, DIFF), "--epochs", "6")
    assert pruned.endswith(f" {6 * 15} updates")
    assert float(re.search(r"accuracy ([\d.]+)%", pruned)[1]) > 70  # type: ignore[index]
    assert run(patched(SCRIPT, DIFF), "--epochs", "6", "--resume") == pruned


def test_instruction_tuning(run: Any) -> None:
    printed = run((EXAMPLES / "instruction_tuning.py").read_text(), "--epochs", "4")
    loss, rate = re.search(r"answers ([\d.]+), realised rate ([\d.]+)", printed).groups()  # type: ignore[union-attr]
    assert float(loss) < 1.6
    assert rate == "0.375"  # three epochs keep half, the last one all
