"""LARS against a loop over single numbers, its state, and what a recipe's names build."""

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from emprune.errors import ArgumentError
from emprune_lab.runs.optimizers import LARS, build_optimizer
from emprune_lab.specs.recipe import Recipe


def recipe(**settings):
    return Recipe(**{"model": "mlp", "epochs": 1, "batch_size": 1, "max_lr": 0.1} | settings)


def tensors(seed=0):
    """A matrix, a vector that starts at 0, a 4-d tensor in another memory format, and one without a gradient."""
    draw = torch.Generator().manual_seed(seed)
    shapes = [(3, 2), (2,), (2, 3, 2, 2), (4,)]
    params = [torch.randn(shape, generator=draw) for shape in shapes]
    params[1].zero_()
    params[2] = params[2].to(memory_format=torch.channels_last)
    return [nn.Parameter(param) for param in params]


def set_gradients(params, step):
    draw = torch.Generator().manual_seed(100 + step)
    for position, param in enumerate(params[:3]):
        param.grad = torch.randn(param.shape, generator=draw) * 3**position
    if step == 2:
        params[0].grad.zero_()


def naive_lars(values, velocities, gradients, lr, momentum, decay, trust):
    """One step of one tensor, number by number; lists of floats in and out."""
    weight = math.sqrt(sum(value**2 for value in values))
    slope = math.sqrt(sum(gradient**2 for gradient in gradients))
    ratio = trust * weight / (slope + decay * weight) if weight > 0 and slope > 0 else 1.0
    moved, kept = [], []
    for value, velocity, gradient in zip(values, velocities, gradients, strict=True):
        kept.append(momentum * velocity + gradient + decay * value)
        moved.append(value - lr * ratio * kept[-1])
    return moved, kept


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_lars_is_the_naive_loop(decay):
    params = tensors()
    optimizer = LARS(params, lr=0.5, momentum=0.9, weight_decay=decay, trust_coefficient=0.02)
    values = [param.detach().flatten().double().tolist() for param in params]
    velocities = [[0.0] * len(value) for value in values]
    for step in range(5):
        lr, momentum = 0.5 / (step + 1), 0.9 - 0.1 * step
        optimizer.param_groups[0].update(lr=lr, momentum=momentum)
        set_gradients(params, step)
        optimizer.step()
        for position in range(3):
            gradients = params[position].grad.flatten().double().tolist()
            values[position], velocities[position] = naive_lars(
                values[position], velocities[position], gradients, lr, momentum, decay, 0.02
            )
        for param, value in zip(params, values, strict=True):
            assert torch.allclose(param.detach().flatten(), torch.tensor(value), rtol=1e-5, atol=1e-6)


def test_gradients_and_tensors_without_one_stay():
    params = tensors()
    optimizer = LARS(params, lr=0.5, weight_decay=0.1)
    set_gradients(params, 0)
    before = [param.grad.clone() for param in params[:3]]
    last = params[3].detach().clone()
    optimizer.step()
    assert all(torch.equal(param.grad, grad) for param, grad in zip(params, before, strict=False))
    assert torch.equal(params[3], last)
    assert params[3] not in optimizer.state
    assert params[2].is_contiguous(memory_format=torch.channels_last)


def test_groups_have_their_own_settings():
    params = tensors()
    optimizer = LARS([{"params": params[:1], "lr": 0.0}, {"params": params[1:]}], lr=0.5)
    before = [param.detach().clone() for param in params]
    set_gradients(params, 0)
    assert optimizer.step(lambda: 7.0) == 7.0
    assert torch.equal(params[0], before[0])
    assert not torch.equal(params[2], before[2])


def test_state_goes_on_where_it_stopped(tmp_path):
    whole, first = tensors(), tensors()
    optimizers = [LARS(params, lr=0.5, weight_decay=0.05) for params in (whole, first)]
    for step in range(6):
        if step == 3:
            torch.save(optimizers[1].state_dict(), tmp_path / "state.pt")
            first = [nn.Parameter(param.detach().clone()) for param in first]
            optimizers[1] = LARS(first, lr=9.0)
            optimizers[1].load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        for params, optimizer in zip((whole, first), optimizers, strict=True):
            set_gradients(params, step)
            optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(whole, first, strict=True))


@pytest.mark.parametrize("name", ["sgd", "lars"])
def test_one_cycle_moves_rate_and_momentum(name):
    model = nn.Linear(3, 2)
    optimizer = build_optimizer(recipe(optimizer=name, max_lr=4.0), model.parameters())
    scheduler = OneCycleLR(optimizer, max_lr=4.0, total_steps=10)
    rates, momenta = [], []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        scheduler.step() if len(rates) < 10 else None
    assert (rates[0], max(rates)) == (pytest.approx(4 / 25), pytest.approx(4))
    assert (momenta[0], min(momenta)) == (pytest.approx(0.95), pytest.approx(0.85))


def test_a_recipe_builds_what_torch_has():
    model = nn.Linear(3, 2)
    optimizer = build_optimizer(recipe(momentum=0.8, weight_decay=0.01, nesterov=True), model.parameters())
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert [group[key] for key in ("lr", "momentum", "weight_decay", "nesterov")] == [0.1, 0.8, 0.01, True]
    assert len(group["params"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adam"}, r"optimizer is 'adam'; allowed: one of sgd, lars"),
        ({"max_lr": -1}, r"learning rate is -1"),
        ({"max_lr": float("nan")}, r"learning rate is nan"),
        ({"momentum": 1.0}, r"momentum is 1\.0"),
        ({"optimizer": "lars", "weight_decay": -0.1}, r"weight_decay is -0\.1"),
        ({"momentum": 0.0, "nesterov": True}, r"nesterov is True"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        build_optimizer(recipe(**arguments), nn.Linear(2, 2).parameters())


def test_bad_trust_coefficient():
    with pytest.raises(ArgumentError, match=r"trust_coefficient is 0"):
        LARS(nn.Linear(2, 2).parameters(), lr=1.0, trust_coefficient=0)
