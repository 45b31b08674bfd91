"""The command without the laboratory says what to install; with it, it returns the laboratory's exit code."""

from __future__ import annotations

import importlib
import types

import pytest

from emprune import __main__ as command


@pytest.mark.parametrize("missing", ["emprune_lab", "tyro"])
def test_what_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def failing(name: str) -> types.ModuleType:
        assert name == "emprune_lab.cli"
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(importlib, "import_module", failing)
    assert command.main() == 2
    written = capsys.readouterr()
    assert (
        written.err
        == f"emprune: the command needs {missing}; it comes with the laboratory, pip install ./lab in a clone.\n"
    )
    assert written.out == ""


def test_the_exit_code_is_the_laboratorys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", lambda name: types.SimpleNamespace(main=lambda: 7))
    assert command.main() == 7
