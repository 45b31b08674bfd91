"""Run against both wheels, with what they ask for: the command compares, and the page is written."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import emprune_lab

assert "site-packages" in emprune_lab.__file__, emprune_lab.__file__

with tempfile.TemporaryDirectory() as folder:
    command = [
        str(Path(sys.executable).with_name("emprune")), "compare", "--data", "digits",
        "--policies", "full,random,emp-gated", "--prune-rates", "0.7", "--seeds", "1", "--epochs", "2", "--out", folder,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads((Path(folder) / "results.json").read_text())) == 3
    assert "<html" in (Path(folder) / "report.html").read_text()
print(f"emprune-lab {emprune_lab.__version__} from the wheel, python {sys.version.split()[0]}: 1 passed, 0 failed")
