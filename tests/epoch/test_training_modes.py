"""Autocast, gradient accumulation and torch.compile change neither scores in the table nor weights of losses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from emprune import IdBatches, Pruner
from emprune.scoring import classification

N, EPOCHS, BATCH, CLASSES = 100, 4, 8, 3
RNG = torch.Generator().manual_seed(0)
INPUTS = torch.randn(N, 4, generator=RNG)
LABELS = torch.randint(0, CLASSES, (N,), generator=RNG)


def new_pruner(policy: str) -> Pruner:
    return Pruner(N, policy, prune_rate=0.43, num_epochs=EPOCHS, seed=1)


def new_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) / 2)
    return model


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.2)


def same_tables(found: Pruner, expected: Pruner) -> None:
    columns = expected.table.state_dict()
    for name, column in found.table.state_dict().items():
        np.testing.assert_array_equal(column.numpy(), columns[name].numpy(), err_msg=name)


def naive_scores(logits: torch.Tensor, labels: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy and entropy of each sample, in float64."""
    q = torch.softmax(logits.detach().double(), 1)
    return -q[torch.arange(len(labels)), labels].log().numpy(), -(q * q.log()).sum(1).numpy()


@pytest.mark.parametrize("policy", ["emp", "infobatch"])
def test_parts_of_an_accumulated_batch_are_scored_and_weighted_as_the_whole(policy: str) -> None:
    """A plain loop trains along, and tells a reference both parts of a batch at once."""
    pruner, reference, model = new_pruner(policy), new_pruner(policy), new_model()
    plain, weights = copy.deepcopy(model), set()
    optimizers = [sgd(model), sgd(plain)]
    for _ in pruner.epochs():
        assert pruner.plan == reference.plan
        weight_of = torch.from_numpy(pruner.plan.weight_of.copy())
        weights |= set(pruner.plan.weights.tolist())
        for whole in IdBatches(reference, BATCH):
            seen = []
            for ids in whole.split(BATCH // 2):
                share = len(ids) / len(whole)
                (pruner.loss(ids, *classification(model(INPUTS[ids]), LABELS[ids])) * share).backward()
                logits = plain(INPUTS[ids])
                losses = F.cross_entropy(logits, LABELS[ids], reduction="none")
                ((losses * weight_of[ids]).mean() * share).backward()
                seen.append((losses.detach(), classification(logits.detach(), LABELS[ids]).memory))
            reference.loss(whole, *(torch.cat(column) for column in zip(*seen, strict=True)))
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        reference.end_epoch()
    same_tables(pruner, reference)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    assert (len(weights) > 1) == (policy == "infobatch")
    assert pruner.report().samples_backward == reference.report().samples_backward == sum(pruner.kept)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_rounds_neither_scores_nor_weights(dtype: torch.dtype) -> None:
    pruner, model = new_pruner("infobatch"), new_model()
    optimizer = sgd(model)
    for epoch in pruner.epochs():
        expected = np.full((2, N), np.nan)
        weight_of = pruner.plan.weight_of
        for ids in IdBatches(pruner, BATCH):
            with torch.autocast("cpu", dtype):
                logits = model(INPUTS[ids])
                scores = classification(logits, LABELS[ids])
                scores.loss.retain_grad()
                loss = pruner.loss(ids, *scores)
            assert logits.dtype == dtype
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            at = ids.numpy()
            expected[:, at] = naive_scores(logits, LABELS[ids])
            weights = weight_of[at]
            np.testing.assert_array_equal(scores.loss.grad.numpy(), weights / np.float32(len(ids)))
            np.testing.assert_allclose(loss.item(), np.mean(weights * expected[0, at]), rtol=1e-6)
        trained = pruner.plan.ids
        pruner.report()
        np.testing.assert_allclose(pruner.table.loss[trained], expected[0, trained], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(pruner.table.memory[trained], expected[1, trained], rtol=1e-5, atol=1e-6)
        weights = torch.from_numpy(weight_of[trained])
        assert epoch == 0 or not torch.equal(weights, weights.to(dtype).float())  # rounding would be seen


def test_losses_that_are_bfloat16_themselves_are_kept_as_they_are() -> None:
    pruner = new_pruner("infobatch")
    for ids in IdBatches(pruner, BATCH):
        pruner.loss(ids, ids.float() / 7)
    pruner.end_epoch()
    (ids, *_) = IdBatches(pruner, BATCH)
    weights = pruner.plan.weight_of[ids]
    loss = (0.1 + ids / 7).to(torch.bfloat16).requires_grad_()
    pruner.loss(ids, loss, loss.detach() / 2).backward()
    pruner.report()
    np.testing.assert_array_equal(pruner.table.loss[ids], loss.detach().float().numpy())
    np.testing.assert_array_equal(pruner.table.memory[ids], (loss.detach() / 2).float().numpy())
    np.testing.assert_allclose(loss.grad.float().numpy(), weights / len(ids), rtol=2**-8)
    assert set(weights.tolist()) != {1.0}


@pytest.fixture
def graphs() -> Iterator[list[torch.fx.GraphModule]]:
    """What torch.compile has made of the test's functions so far."""
    torch.compiler.reset()
    yield []
    torch.compiler.reset()


def train(policy: str, what: str, graphs: list[torch.fx.GraphModule]) -> tuple[Pruner, list[Any], nn.Module]:
    """A whole run with a part of the step compiled; plans, losses and the number of graphs after each epoch."""
    pruner, model, trained = new_pruner(policy), new_model(), []
    optimizer = sgd(model)

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    def compiled(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(function, backend=backend, fullgraph=name == "scores") if name == what else function

    scores = compiled("scores", lambda ids: classification(model(INPUTS[ids]), LABELS[ids]))
    loss_of = compiled("loss", lambda ids: pruner.loss(ids, *scores(ids)))

    def backward(ids: torch.Tensor) -> torch.Tensor:
        loss = loss_of(ids)
        loss.backward()
        return loss.detach()

    step = compiled("step", backward)
    for _ in pruner.epochs():
        losses = []
        for ids in IdBatches(pruner, BATCH):
            losses.append(step(ids).item())
            optimizer.step()
            optimizer.zero_grad()
        trained.append((pruner.plan.digest, losses, len(graphs)))
    return pruner, trained, model


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # torch hides it, but cannot here
@pytest.mark.parametrize("what", ["scores", "loss", "step"])
def test_a_compiled_step_trains_scores_and_plans_exactly_as_a_plain_one(graphs: list[Any], what: str) -> None:
    """From the scores alone, in one graph, to all of forward, pruner.loss and backward in one function."""
    plain, expected, model = train("infobatch", "nothing", graphs)
    assert not graphs
    pruner, found, compiled = train("infobatch", what, graphs)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    same_tables(pruner, plain)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), compiled.parameters(), strict=True))
    assert pruner.report().steps == plain.report().steps
    after = [count for *_, count in found]
    assert after[0] > 0
    assert after[1] == after[-1]  # no epoch compiles anew: the first is without weights, the second with them
