"""What the README says is what the project does: its code runs and its figures are those committed."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from patching import changed
from torch import nn
from torch.utils.data import DataLoader

import emprune
from emprune.scoring import classification
from emprune_lab.records.results import load_results
from emprune_lab.report.overview import overview_markdown

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def python_block(containing):
    return next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if containing in block)


@pytest.mark.parametrize("folder", ["fashion-mnist/clean-and-mislabelled", "cifar100-cpu"])
def test_results_table_is_that_of_the_committed_runs(folder):
    assert overview_markdown(load_results(ROOT / "studies" / folder)) in README


@pytest.mark.parametrize(
    ("folders", "heading", "rows"),
    [
        (["language/cola", "language/mrpc"], "### Fine-tuning on language", 6),
        (["simclr/policies"], "### Pre-training without labels", 6),
    ],
)
def test_every_cell_of_a_table_of_several_measures_is_in_the_committed_tables(folders, heading, rows):
    section = README.split(heading)[1].split("###")[0]
    committed = [(ROOT / "studies" / folder / "table.md").read_text().splitlines() for folder in folders]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == rows
    for policy, *cells in lines:
        held = [line for text in committed for line in text if policy in line.strip("| ").split(" | ")]
        for cell in cells:
            for number in cell.split(", ", 1):
                assert any(number.strip("*") in line for line in held), (policy, number)


@pytest.mark.parametrize("side", "-+")
def test_the_loop_runs_with_and_without_its_four_lines(side):
    block = re.search(r"```diff\n(.*?)```", README, re.DOTALL)[1].splitlines()
    assert sum(line.startswith("+") for line in block) == 4
    torch.manual_seed(0)
    train_set = torch.utils.data.TensorDataset(torch.randn(100, 8), torch.randint(0, 3, (100,)))
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    names = {"train_set": train_set, "model": model, "optimizer": optimizer, "F": F, "DataLoader": DataLoader}
    names |= {"Pruner": emprune.Pruner, "PrunedLoader": emprune.PrunedLoader, "classification": classification}
    exec("\n".join(line[1:] for line in block if line[0] in (" ", side)), names)
    if side == "+":
        assert names["loader"].pruner.report().samples_backward == 30 * 30


def test_the_policy_of_ones_own_works_and_is_the_example():
    block = python_block("class Stalest")
    assert block.strip() in (ROOT / "examples" / "own_policy.py").read_text()


def test_files_named_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(("name", "diff"), [("PrunedTrainer", "trainer_text"), ("Pruning(", "lightning_digits")])
def test_a_framework_s_four_lines_are_those_that_are_tested(name, diff):
    """The diff that the tests apply and run has the README's lines, and no other."""
    shown = next(block for block in re.findall(r"```diff\n(.*?)```", README, re.DOTALL) if name in block)
    applied = (ROOT / "examples" / f"{diff}.diff").read_text()
    assert changed(shown, "+") == changed(applied, "+")
    assert changed(shown, "-") == changed(applied, "-")
    assert len(changed(shown, "+")) == 4
