"""The page on loops does what it says: its code trains what a plain loop does, counts and goes on as it says."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

import emprune
from emprune import PrunedLoader, Pruner
from emprune.scoring import classification

PAGE = (Path(__file__).parents[2] / "docs" / "loops.md").read_text()
BATCH = 16
PLAIN = """
for _ in pruner.epochs():
    for ids, (images, labels) in loader:
        pruner.loss(ids, *classification(model(images), labels)).backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
"""


def block(containing: str) -> str:
    return next(found for found in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if containing in found)


def new_names(policy: str = "infobatch", **rate: Any) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(100, 4, generator=draw), torch.randint(0, 3, (100,), generator=draw))
    model = torch.nn.Linear(4, 3)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    pruner = Pruner(100, policy, **(rate or {"prune_rate": 0.5, "anneal": 0.34}), num_epochs=3)
    steps = 0 if rate else pruner.total_steps(BATCH)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    return {
        "torch": torch, "emprune": emprune, "classification": classification, "model": model, "optimizer": optimizer,
        "pruner": pruner, "loader": PrunedLoader(data, pruner, BATCH), "scheduler": scheduler,
    }  # fmt: skip


def run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(code, names)
    return names


@pytest.mark.parametrize("loop", ["def batches", ".split(8)"])
def test_a_loop_by_steps_or_by_parts_ends_where_a_plain_one_does(loop: str) -> None:
    found, plain = run(block(loop), new_names()), run(PLAIN, new_names())
    torch.testing.assert_close(found["model"].weight, plain["model"].weight)
    assert found["scheduler"].last_epoch == plain["scheduler"].last_epoch == 4 + 4 + 7
    assert found["scheduler"].get_last_lr() == [0]
    assert found["pruner"].epoch == 3


def test_updates_of_accumulated_batches_are_as_many_as_the_page_says() -> None:
    formula = re.search(r"has `(.*)` updates", PAGE)[1]
    names = {"ceil": math.ceil, "batch_size": 4, "accumulation": 4}
    assert [eval(formula, {**names, "size": size}) for size in new_names()["pruner"].epoch_sizes()] == [4, 4, 7]


def test_closures_count_samples_once() -> None:
    names = new_names("emp")
    names["optimizer"] = torch.optim.LBFGS(names["model"].parameters(), lr=0.1, max_iter=3)
    report = run(block("def closure"), names)["pruner"].report()
    assert report.samples_backward == 50 + 50 + 100
    assert report.samples_forward > report.samples_backward


@pytest.mark.parametrize("rate", ["auto", emprune.AutoRate(target=0.5)])
def test_a_learning_rate_that_follows_the_position_goes_down_to_the_end(rate: Any) -> None:
    names, rates = new_names("emp", prune_rate=rate), []
    names["optimizer"].register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    pruner = run(block("pruner.progress()"), names)["pruner"]
    assert pruner.report().samples_backward == sum(pruner.kept)
    assert len(rates) == pruner.report().steps
    assert rates[0] == 0.1
    assert all(after < before for before, after in itertools.pairwise(rates))
    assert 0 < rates[-1] < 0.1 / 10


def test_a_loop_that_was_stopped_goes_on_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(block("def save"), new_names())
    steps = PLAIN + "        if pruner.epoch == 1 and scheduler.last_epoch == 6: save(); raise KeyboardInterrupt\n"
    with pytest.raises(KeyboardInterrupt):
        run(steps, names)
    again = run(block("def save"), new_names())
    run("resume()", again)
    assert again["pruner"].consumed == 32
    again["scheduler"].load_state_dict(names["scheduler"].state_dict())
    assert torch.equal(run(PLAIN, again)["model"].weight, run(PLAIN, new_names())["model"].weight)
