"""The page on streams does what it says: its code trains, counts and goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

import emprune
from emprune import BatchPruner
from emprune.policies import REGISTRY
from emprune.policies.base import InBatchPolicy
from emprune.scoring import classification

stateful = pytest.importorskip("torchdata.stateful_dataloader")
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")

PAGE = (Path(__file__).parents[2] / "docs" / "streams.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def names() -> dict[str, Any]:
    draw = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(130, 4, generator=draw), torch.randint(0, 3, (130,), generator=draw))
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    return {
        "torch": torch, "emprune": emprune, "BatchPruner": BatchPruner, "classification": classification,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "loader": stateful.StatefulDataLoader(data, batch_size=20), "pruner": BatchPruner("emp", prune_rate=0.7),
    }  # fmt: skip


def run(code: str, inside: dict[str, Any]) -> dict[str, Any]:
    exec(code, inside)
    return inside


def test_the_three_loops_train_the_same() -> None:
    first, by_hand, together = BLOCKS[:3]
    expected = run(first, names())
    assert expected["pruner"].samples_backward == 39
    for code in (by_hand, first.split("for images")[0] + together):
        found = run(code, names())
        torch.testing.assert_close(found["model"].weight, expected["model"].weight)


def test_a_loop_that_was_stopped_goes_on_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, saving = BLOCKS[0], BLOCKS[3]
    inside = run(saving, names())
    with pytest.raises(KeyboardInterrupt):
        run(first + "    if pruner.batches == 3: save(); raise KeyboardInterrupt\n", inside)
    again = run(saving + first.split("for images")[0] + "resume()\n", names())
    run("for images" + first.split("for images")[1], again)
    assert torch.equal(again["model"].weight, run(first, names())["model"].weight)


def test_it_names_the_policies() -> None:
    table = PAGE.split("## Which policies")[1].split("##")[0]
    able = {name for name, kind in REGISTRY.items() if kind.streams or issubclass(kind, InBatchPolicy)}
    assert {name for name in REGISTRY if re.search(rf"`{name}`", table.split("Policies whose")[0])} == able
