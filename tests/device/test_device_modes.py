"""Autocast, torch.compile and CUDA graphs on a device: scores and plans are those of plain training there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from on_cuda import captured
from recorded import BATCH, INPUTS, LABELS, WEIGHTS, new_pruner

from emprune import IdBatches, Pruner
from emprune.scoring import classification

EPOCHS = 3
Scores = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def network(inputs: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    return torch.tanh(inputs @ first) @ last


def new_weights(device: torch.device) -> list[torch.Tensor]:
    return [weight.to(device, copy=True).requires_grad_() for weight in WEIGHTS]


def train(device: torch.device, forward: Scores = network) -> tuple[Pruner, list[str]]:
    """A run with ids on the host, step by step, and its plans."""
    pruner, weights, plans = new_pruner("emp"), new_weights(device), []
    inputs, labels = INPUTS.to(device), LABELS.to(device)
    optimizer = torch.optim.SGD(weights, lr=0.3)
    for _ in range(EPOCHS):
        plans.append(pruner.plan.digest)
        for ids in IdBatches(pruner, BATCH):
            here = ids.to(device)
            pruner.loss(ids, *classification(forward(inputs[here], *weights), labels[here])).backward()
            optimizer.step()
            optimizer.zero_grad()
        pruner.end_epoch()
    return pruner, [*plans, pruner.plan.digest]


def same_tables(found: Pruner, expected: Pruner) -> None:
    """Scores but for rounding in the order of sums; counts exactly."""
    for name, column in expected.table.state_dict().items():
        tolerance = {"rtol": 1e-4, "atol": 1e-5} if column.is_floating_point() else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(found.table.state_dict()[name], column, **tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_rounds_neither_scores_nor_weights(processor: torch.device, dtype: torch.dtype) -> None:
    pruner, weights = new_pruner("infobatch"), new_weights(processor)
    inputs, labels = INPUTS.to(processor), LABELS.to(processor)
    optimizer = torch.optim.SGD(weights, lr=0.3)
    for _ in range(EPOCHS):
        expected = np.full((2, len(INPUTS)), np.nan)
        for ids in IdBatches(pruner, BATCH):
            here = ids.to(processor)
            with torch.autocast(processor.type, dtype):
                logits = network(inputs[here], *weights)
                scores = classification(logits, labels[here])
                scores.loss.retain_grad()
                loss = pruner.loss(here, *scores)
            assert logits.dtype == dtype
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            factors = pruner.plan.weight_of[ids]
            np.testing.assert_array_equal(scores.loss.grad.cpu().numpy(), factors / np.float32(len(ids)))
            log_q = torch.log_softmax(logits.detach().cpu().double(), dim=1)
            expected[0, ids] = -log_q[torch.arange(len(ids)), LABELS[ids]]
            expected[1, ids] = -(log_q.exp() * log_q).sum(dim=1)
        trained, rounded = pruner.plan.ids, torch.from_numpy(pruner.plan.weights.copy()).to(dtype).float()
        weighted = not np.array_equal(rounded, pruner.plan.weights)
        pruner.end_epoch()
        np.testing.assert_allclose(pruner.table.loss[trained], expected[0, trained], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(pruner.table.memory[trained], expected[1, trained], rtol=1e-5, atol=1e-5)
    assert weighted  # rounding would have been seen


@pytest.mark.filterwarnings("ignore")  # the compiler's own, which differ between versions and machines
def test_a_compiled_network(processor: torch.device) -> None:
    torch.compiler.reset()
    backend = "inductor" if processor.type == "cuda" else "aot_eager"
    expected, plans = train(processor)
    found, compiled_plans = train(processor, torch.compile(network, backend=backend, fullgraph=True))
    torch.compiler.reset()
    assert compiled_plans == plans
    same_tables(found, expected)


@pytest.mark.filterwarnings("ignore:.*AccumulateGrad node's stream")
@pytest.mark.parametrize("ids_on", ["host", "device"])
def test_a_graph_that_is_replayed_on_the_same_buffers(device: torch.device, ids_on: str) -> None:
    """Forward, backward and the optimizer's step as one CUDA graph; elsewhere the same step on the same buffers."""
    expected, expected_plans = train(device)
    pruner, weights, plans = new_pruner("emp"), new_weights(device), []
    inputs, labels = INPUTS.to(device), LABELS.to(device)
    ids, x, y = (part[:BATCH].clone() for part in (torch.arange(len(LABELS)).to(device), inputs, labels))
    loss, memory = torch.zeros(BATCH).to(device), torch.zeros(BATCH).to(device)
    optimizer = torch.optim.SGD(weights, lr=0.3)

    def step() -> None:
        optimizer.zero_grad()
        scores = classification(network(x, *weights), y)
        loss.copy_(scores.loss.detach())
        memory.copy_(scores.memory)
        scores.loss.mean().backward()
        optimizer.step()

    run = captured(step) if device.type == "cuda" else step
    with torch.no_grad():
        for weight, beginning in zip(weights, WEIGHTS, strict=True):
            weight.copy_(beginning)
    for _ in range(EPOCHS):
        plans.append(pruner.plan.digest)
        for batch in IdBatches(pruner, BATCH):
            ids.copy_(batch)
            x.copy_(inputs[ids])
            y.copy_(labels[ids])
            run()
            chosen = pruner.select_batch(ids if ids_on == "device" else batch, loss, memory)
            assert chosen.positions is chosen.weights is None
        for buffer in (ids, loss, memory):
            buffer.zero_()
        pruner.end_epoch()
    assert [*plans, pruner.plan.digest] == expected_plans
    same_tables(pruner, expected)
