"""The loop that the README shows runs with its four lines and without, and a policy of one's own is the example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

import emprune
from emprune.scoring import classification

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("side", "-+")
def test_the_loop_runs_with_and_without_its_four_lines(side: str) -> None:
    block = re.search(r"```diff\n(.*?)```", README, re.DOTALL)[1].splitlines()  # type: ignore[index]
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


def test_the_policy_of_ones_own_is_the_example() -> None:
    page = (ROOT / "docs" / "own-policy.md").read_text("utf-8")
    block = next(found for found in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Stalest" in found)
    shown = block[block.index("class") : block.index("\n\n\npruner")]
    assert shown in (ROOT / "examples" / "own_policy.py").read_text("utf-8")
