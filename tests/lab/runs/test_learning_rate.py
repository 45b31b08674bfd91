"""AdamW, the linear schedule and clipping, against loops written out here."""

import dataclasses

import pytest
import torch
from torch import nn

from emprune import Pruner
from emprune.errors import ArgumentError
from emprune_lab.runs.learning_rate import LearningRate
from emprune_lab.runs.optimizers import build_optimizer
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for, training_data

RECIPE = Recipe(
    model="linear", epochs=4, batch_size=5, max_lr=0.1, optimizer="adamw", weight_decay=0.2, schedule="linear",
    pct_start=0.25,
)  # fmt: skip


def rates(recipe, policy="random", num_samples=50, rate=0.5):
    """The learning rate of every step of a run, and the object that set it."""
    pruner = Pruner(num_samples, policy, prune_rate=rate, num_epochs=recipe.epochs)
    optimizer = build_optimizer(recipe, nn.Linear(2, 1).parameters())
    moving, found = LearningRate(optimizer, recipe, pruner), []
    for _ in range(moving.total_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        moving.after_step(0)
    return found, moving


def test_up_and_down_in_straight_lines_over_the_exact_steps():
    found, _ = rates(RECIPE)
    assert len(found) == 4 * 5  # 25 of 50 samples an epoch
    expected = []
    for step in range(20):
        middle = step + 0.5  # the rate of a step is that of its middle
        expected.append(0.1 * middle / 5 if middle < 5 else 0.1 * (20 - middle) / 15)
    assert found == pytest.approx(expected)
    assert min(found) > 0
    without_rise, _ = rates(dataclasses.replace(RECIPE, pct_start=0.0))
    assert without_rise[0] == pytest.approx(0.1 * 19.5 / 20)


def test_a_schedule_goes_on_from_its_state():
    found, moving = rates(RECIPE)
    _, other = rates(RECIPE)
    other.load_state_dict({**moving.state_dict(), "last_epoch": 7, "_step_count": 8})
    other._schedule.step()
    assert other._optimizer.param_groups[0]["lr"] == pytest.approx(found[8])


def test_an_unknown_schedule_is_named():
    with pytest.raises(ArgumentError, match=r"schedule is 'cosine'; allowed: 'onecycle' or 'linear'"):
        rates(dataclasses.replace(RECIPE, schedule="cosine"))


def test_adamw_decays_matrices_and_leaves_vectors():
    layer = nn.Linear(3, 2)
    nn.init.ones_(layer.bias)
    before = {name: value.detach().double().clone() for name, value in layer.named_parameters()}
    optimizer = build_optimizer(RECIPE, layer.parameters())
    first = {name: torch.zeros_like(value) for name, value in before.items()}
    second = {name: torch.zeros_like(value) for name, value in before.items()}
    for step in range(1, 4):
        rng = torch.Generator().manual_seed(step)
        for name, value in layer.named_parameters():
            value.grad = torch.randn(value.shape, generator=rng)
            gradient = value.grad.double()
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient.square()
            mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
            decayed = before[name] * (1 - 0.1 * 0.2) if name == "weight" else before[name]
            before[name] = decayed - 0.1 * mean / (square.sqrt() + 1e-8)
        optimizer.step()
    for name, value in layer.named_parameters():
        torch.testing.assert_close(value.detach().double(), before[name], rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_to_their_common_norm():
    recipe = dataclasses.replace(recipe_for("digits"), train_size=64, epochs=1, clip_norm=0.01)
    spec = RunSpec("digits", "full", 0.0, 0, recipe)
    training, norms = Training(spec, training_data(spec)), []

    def record(*_):
        norms.append(torch.stack([weight.grad.norm() for weight in training.model.parameters()]).norm().item())

    training.optimizer.register_step_pre_hook(record)
    training.epochs(lambda: None)
    assert norms == pytest.approx([0.01] * 2, rel=1e-3)
