"""The committed results: their documented commands still ask for the same runs, and they are read and reported on."""

import re
import shlex
from pathlib import Path

import pytest
import tyro

from emprune_lab.cli import main
from emprune_lab.commandline.commands import Compare
from emprune_lab.records.results import load_results
from emprune_lab.tasks import PRESETS

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "studies"
# Those whose presets have changed in nothing else since; what SimCLR is looked at by has, for two more.
UNCHANGED = [
    ("cifar100-cpu", "cifar100-cpu"),
    ("language/cola", "cola"),
    ("digits/all-methods", "digits-peers"),
    ("digits/ladder", "digits-ladder"),
    ("simclr/policies", "fashion-mnist-simclr"),
    ("language/mrpc", "mrpc"),
    ("language/tinyshakespeare", "tinyshakespeare"),
]


@pytest.mark.parametrize(
    ("document", "folder", "out"),
    [
        *((f"studies/{folder.split('/')[0]}/README.md", folder, out) for folder, out in UNCHANGED),
        *(
            ("docs/results.md", folder, out)
            for folder, out in UNCHANGED
            if out in ("cifar100-cpu", "cola", "fashion-mnist-simclr")
        ),
    ],
)
def test_the_documented_command_asks_for_the_committed_runs(document, folder, out):
    command = re.search(rf"emprune compare ([^`\n]*--out runs/{out})\b(?!-)", (ROOT / document).read_text())[1]
    asked = {spec.run_id for spec in tyro.cli(Compare, args=shlex.split(command)).specs()}
    assert {run.run_id for run in load_results(STUDIES / folder)} <= asked


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in STUDIES.rglob("results.json")), ids=lambda path: path.name
)
def test_every_committed_result_is_linked_from_its_studys_page(folder):
    page = next(parent for parent in (folder, folder.parent) if (parent / "README.md").is_file())
    assert f"({(folder / 'table.md').relative_to(page)})" in (page / "README.md").read_text()


def test_presets_need_bfloat16_only_where_they_are_meant_for_an_accelerator():
    named = {name for name, preset in PRESETS.items() if preset.recipe.precision == "bfloat16"}
    assert named == {"infobatch", "infobatch-resnet50", "simclr-resnet18"}


def test_a_published_results_file_is_reported_on(tmp_path):
    assert main(["report", str(STUDIES / "language" / "mrpc"), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "table.md").read_text() == (STUDIES / "language" / "mrpc" / "table.md").read_text()
    assert "precision bfloat16" in (tmp_path / "report.html").read_text()
