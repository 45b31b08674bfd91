"""The example without pruning becomes one that prunes by the four lines shown, and goes on from a checkpoint."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from patching import changed, patched

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT, DIFF = ((EXAMPLES / f"lightning_digits.{kind}").read_text() for kind in ("py", "diff"))

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on workers and folders
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # what Lightning itself calls
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a script's text with arguments, in this process; gives the last line it printed."""

    def run_script(script: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["script.py", "--out", str(tmp_path / "out"), *arguments])
        exec(compile(script, "script.py", "exec"), {"__name__": "__main__", "__doc__": "A script."})
        return capsys.readouterr().out.splitlines()[-1]

    return run_script


def test_four_lines_make_a_script_prune(run: Any, tmp_path: Path) -> None:
    assert len(changed(DIFF, "+")) == 4
    assert run(SCRIPT, "--epochs", "2").endswith(f" {2 * 38} updates")  # 1200 digits, 32 in a batch
    pruned = run(patched(SCRIPT, DIFF))
    assert pruned.endswith(f" {12 * 12} updates")  # 360 digits
    assert float(re.search(r"accuracy ([\d.]+)%", pruned)[1]) > 88  # type: ignore[index]
    (tmp_path / "out" / "last.ckpt").unlink()
    last = next((tmp_path / "out").glob("*step=140.ckpt"))
    last.rename(tmp_path / "out" / "last.ckpt")  # in mid-epoch
    assert run(patched(SCRIPT, DIFF), "--resume") == pruned
