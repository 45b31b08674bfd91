"""What the command does at once: help and version, without importing torch."""

import subprocess
import sys

import pytest

import emprune
import emprune_lab

SHOW = "import sys; from emprune.__main__ import main\ntry: print(main())\nfinally: print('torch' in sys.modules)"


def started(*arguments):
    done = subprocess.run([sys.executable, "-c", SHOW, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["compare", "--help"], ["headline", "--help"], ["report", "--help"], ["inspect", "--help"]],
)
def test_help_does_not_import_torch(arguments):
    code, lines, said = started(*arguments)
    assert (code, said, lines[-1]) == (0, "", "False")
    assert lines[0].startswith("usage: emprune")


def test_an_unknown_option_does_not_import_torch():
    code, lines, said = started("compare", "--no-such-option")
    assert (code, lines[-1]) == (2, "False")
    assert "no-such-option" in said


def test_the_version():
    versions = f"emprune {emprune.__version__}, emprune-lab {emprune_lab.__version__}"
    assert started("--version") == (0, [versions, "0", "False"], "")


def test_public_names_come_when_they_are_asked_for():
    code = (
        "import sys, emprune, emprune.errors\n"
        "assert 'torch' not in sys.modules\n"
        "assert set(emprune.public.__all__) <= set(dir(emprune))\n"
        "from emprune import *\n"
        "assert Pruner is emprune.Pruner and emprune.pruner.Pruner is Pruner and emprune.table\n"
        "try: emprune.nothing\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "module 'emprune' has no attribute 'nothing'\n", done.stderr
