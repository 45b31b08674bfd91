"""What the README says is what the project does: its code runs and its figures are those committed."""

import re
from pathlib import Path

import torch
from torch import nn

import emprune
from emprune.lab.overview import overview_markdown
from emprune.lab.results import load_results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def python_block(containing):
    return next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if containing in block)


def test_results_table_is_that_of_the_committed_runs():
    assert overview_markdown(load_results(ROOT / "results" / "fashion-mnist")) in README


def test_the_loop_runs_and_four_of_its_lines_are_ours():
    block = python_block("PrunedLoader")
    marked = [line for line in block.splitlines() if line.rstrip().endswith("#")]
    assert len(marked) == 4
    torch.manual_seed(0)
    train_set = torch.utils.data.TensorDataset(torch.randn(100, 8), torch.randint(0, 3, (100,)))
    model = nn.Linear(8, 3)
    names = {"train_set": train_set, "model": model, "num_epochs": 3, "emprune": emprune}
    names["optimizer"] = torch.optim.SGD(model.parameters(), lr=0.1)
    exec(block, names)
    assert names["pruner"].report().samples_backward == 3 * 30


def test_the_policy_of_ones_own_works_and_is_the_example():
    block = python_block("class Stalest")
    assert block.strip() in (ROOT / "examples" / "own_policy.py").read_text()


def test_files_named_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
