"""The self-supervised example at a tiny size, on digits: it trains exactly its share and finds neighbours."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "simclr_fashion_mnist.py"


@pytest.mark.parametrize(("policy", "has_memory"), [("emp", True), ("lfl", False)])
def test_it_trains_the_share_that_it_is_to_and_tells_digits_apart(
    policy: str, has_memory: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--train-size", "500", "--epochs", "4", "--batch-size", "64", "--prune-rate", "0.6"]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "--data", "digits", "--policy", policy, *sizes])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    *epochs, neighbours, report = capsys.readouterr().out.splitlines()
    assert len(epochs) == 4
    for line in epochs:
        loss, memory = map(float, re.fullmatch(r"epoch \d: loss (\S+), memory term (\S+)", line).groups())
        assert 2 < loss < 7
        assert (0 < memory < 2) == has_memory
    assert float(re.search(r"([\d.]+)%", neighbours)[1]) > 60  # ten classes
    for expected in ("4 of 4 epochs, realised rate 0.6:", "800 samples through backward, 800 forward, 16 steps"):
        assert expected in report
