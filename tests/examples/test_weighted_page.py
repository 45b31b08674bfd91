"""The page on weights and quotas does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from emprune import Pruner, Quotas
from emprune.policies import REGISTRY

PAGE = (Path(__file__).parents[2] / "docs" / "weighted.md").read_text()


def test_its_code_balances_classes() -> None:
    labels = torch.tensor([0] * 900 + [1] * 100)
    shares = []
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        names = {"torch": torch, "Pruner": Pruner, "Quotas": Quotas, "labels": labels}
        exec(code.replace("prune_rate=0.7", "prune_rate=0.9"), names)
        shares.append(float((labels[torch.from_numpy(names["pruner"].plan.ids.copy())] == 1).float().mean()))
    assert shares == pytest.approx([0.4, 0.5], abs=0.12)
    assert shares[1] == 0.5


def test_its_example_of_replacement() -> None:
    weights = np.r_[np.ones(190), np.full(10, 30.0)]
    often = 60 * weights[-1] / weights.sum()
    assert f"{often:.1f} times with replacement" in PAGE
    plans = [Pruner(200, "random", prune_rate=0.7, num_epochs=1, seed=s, sample_weight=weights).plan for s in range(30)]
    assert np.mean([(plan.ids >= 190).sum() for plan in plans]) > 9.5


def test_it_names_the_policies() -> None:
    takes = {name for name, kind in REGISTRY.items() if "sample_weight" in kind.honours}
    quotas = {name for name, kind in REGISTRY.items() if "quotas" in kind.honours} - takes
    line = re.search(r"## Which policies\n\n(.*?) take weights; these and (.*?) quotas", PAGE)
    assert set(re.findall(r"`(\S+?)`", line[1])) == takes
    assert set(re.findall(r"`(\S+?)`", line[2])) == quotas
