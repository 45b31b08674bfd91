"""The page on losses does what it says: its code runs, against naive sums and with real loggers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import step
from torch.nn import functional as F

import emprune
from emprune import IdBatches, Pruner

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "losses.md").read_text()


def block(containing: str) -> str:
    return next(found for found in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if containing in found)


def new_pruner(policy: str = "emp") -> Pruner:
    return Pruner(12, policy, prune_rate=0.5, num_epochs=3)


def test_functions_and_files_named_exist() -> None:
    for name in re.findall(r"^\| [^|]+ \| `(\w+)\(", PAGE, re.MULTILINE):
        assert callable(getattr(emprune.scoring, name))
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_a_composite_loss_is_summed_up_by_image() -> None:
    pruner = new_pruner()
    names: dict[str, Any] = {"torch": torch, "F": F, "emprune": emprune, "pruner": pruner}
    exec(block("def per_image"), names)
    draw = torch.Generator().manual_seed(0)
    boxes, true_boxes = torch.randn(2, 5, 4, generator=draw)
    logits = torch.randn(5, 3, generator=draw, requires_grad=True)
    labels, image = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 0, 2, 2, 2])  # the second image has no box
    (ids, _) = IdBatches(pruner, 3)
    names["step"](ids, boxes, logits, true_boxes, labels, image).backward()
    pruner.report()
    for place in range(3):
        mine = image == place
        expected = memory = 0.0
        if mine.any():
            of_boxes = F.smooth_l1_loss(boxes[mine], true_boxes[mine], reduction="none").sum(1).mean()
            expected = (of_boxes + F.cross_entropy(logits[mine], labels[mine])).item()
            memory = torch.distributions.Categorical(logits=logits[mine]).entropy().mean().item()
        assert pruner.table.loss[ids[place]] == pytest.approx(expected)
        assert pruner.table.memory[ids[place]] == pytest.approx(memory)
    assert logits.grad.isfinite().all()


def test_losses_that_a_model_has_reduced_are_asked_for_by_image() -> None:
    names: dict[str, Any] = {"torch": torch}
    exec(block("def losses_of"), names)

    def model(images: list[torch.Tensor], targets: list[float]) -> dict[str, torch.Tensor]:
        return {"boxes": torch.stack(images).mean(), "classes": torch.tensor(targets).mean()}

    found = names["losses_of"](model, torch.arange(6.0).view(3, 2), [0.0, 1.0, 2.0])
    assert found.tolist() == [0.5, 3.5, 6.5]


def trained(containing: str, **names: Any) -> Pruner:
    """Run a loop of the page."""
    pruner = new_pruner()

    def train(given: Pruner) -> None:
        for ids in IdBatches(given, 3):
            step(given, ids)

    exec(block(containing), {"pruner": pruner, "train": train, **names})
    return pruner


def test_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        pruner = trained("writer.add_scalar", writer=writer)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    written = {name: [event.value for event in events.Scalars(name)] for name in pruner.metrics()}
    assert written["emprune/samples_backward"] == [6, 12, 18]
    for name, value in pruner.metrics().items():
        assert written[name][-1] == pytest.approx(value)


def test_weights_and_biases_offline(tmp_path: Path) -> None:
    import wandb

    wandb.teardown()  # what another test has set up, by another environment
    run = wandb.init(mode="offline", dir=str(tmp_path), settings=wandb.Settings(silent=True))
    pruner = trained("wandb.log", wandb=wandb)
    found = {name: run.summary[name] for name in pruner.metrics()}
    wandb.finish()
    assert found == pytest.approx(pruner.metrics())


def test_a_constant_memory_term_ranks_nothing() -> None:
    """What the page says of least squares: with a constant the score's order is that of the loss."""
    pruner = Pruner(12, emprune.EMP(rule="top"), prune_rate=0.5, num_epochs=3, warmup_epochs=1)
    losses = Pruner(12, "lfl", prune_rate=0.5, num_epochs=3, warmup_epochs=1)
    plans = []
    for each in (pruner, losses):
        for ids in IdBatches(each, 12):
            each.loss(ids, ids.float(), torch.full((12,), 1.4))
        each.end_epoch()
        plans.append(sorted(each.plan.ids.tolist()))
    assert plans[0] == plans[1] == list(range(6, 12))
