"""Losses of sequences on a device, plain and by the fused kernel, against a loop over tokens in float64."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from emprune.scoring import token_loss, tokens

ROWS, LENGTH = 3, 12
VOCABULARY = 4500  # a whole block of the kernel and a part of one
ROUNDING = {torch.float32: 5e-5, torch.bfloat16: 2**-8, torch.float16: 2**-10}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Triton's compiler
no_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


@pytest.fixture(params=["plain", pytest.param("triton", marks=no_triton)])
def kernel(request: pytest.FixtureRequest, device: torch.device) -> str:
    if request.param == "triton" and device.type != "cuda":
        pytest.skip("the kernel runs on CUDA")
    return str(request.param)


def example(dtype: torch.dtype, ignore_index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits with masked and extreme entries, labels with gaps, sequence ids of four samples and padding."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(ROWS, LENGTH, VOCABULARY, generator=generator).mul(3).to(dtype)
    logits[..., 11] = -torch.inf
    logits[0, 0, :4200] = -torch.inf
    logits[1, 2, 4200:] = -torch.inf
    logits[2, 3, 7] = 50
    labels = torch.randint(12, 4200, (ROWS, LENGTH), generator=generator)
    labels[0, :2] = 4300
    labels[0, 4], labels[1, 6:9], labels[2, 0] = ignore_index, ignore_index, ignore_index
    ids = torch.tensor([[0] * 5 + [1] * 7, [2] * 12, [3] * 9 + [-1] * 3])
    return logits, labels, ids


def naive(
    logits: torch.Tensor, labels: torch.Tensor, ids: torch.Tensor, ignore_index: int, shift: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean loss and entropy of each sequence, in float64, token by token."""
    losses: dict[int, list[torch.Tensor]] = {number: [] for number in range(int(ids.max()) + 1)}
    entropies: dict[int, list[torch.Tensor]] = {number: [] for number in losses}
    for row in range(ROWS):
        for place in range(LENGTH - shift):
            sequence, label = int(ids[row, place]), int(labels[row, place + shift])
            if sequence < 0 or label == ignore_index or int(ids[row, place + shift]) != sequence:
                continue
            x = logits[row, place]
            log_q = x - torch.logsumexp(x, dim=0)
            seen = log_q[log_q > -torch.inf]
            losses[sequence].append(-log_q[label])
            entropies[sequence].append(-(seen.exp() * seen).sum())
    loss, entropy = (
        torch.stack([torch.stack(values).mean() for values in column.values()]) for column in (losses, entropies)
    )
    return loss, entropy


@pytest.mark.parametrize("memory_gradient", [False, True])
@pytest.mark.parametrize(("packed", "ignore_index"), [(False, -100), (True, -100), (True, 3)])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_values_and_gradient(
    device: torch.device, kernel: str, dtype: torch.dtype, packed: bool, ignore_index: int, memory_gradient: bool
) -> None:
    logits, labels, ids = example(dtype, ignore_index)
    if not packed:
        ids = torch.arange(ROWS)[:, None].expand(ROWS, LENGTH)
    number = int(ids.max()) + 1
    leaf = logits.to(device, copy=True).requires_grad_()
    loss, memory = tokens(
        leaf, labels.to(device), shift=packed, ignore_index=ignore_index, memory_gradient=memory_gradient,
        sequence_ids=ids.to(device) if packed else None, num_sequences=number if packed else None, kernel=kernel,
    )  # fmt: skip
    slopes = torch.linspace(1, 2, number)
    total = (loss * slopes.to(device)).sum()
    (total + (memory * slopes.to(device)).sum() if memory_gradient else total).backward()

    reference = logits.double().requires_grad_()
    right_loss, right_memory = naive(reference, labels, ids, ignore_index, packed)
    right_total = (right_loss * slopes.double()).sum()
    (right_total + (right_memory * slopes.double()).sum() if memory_gradient else right_total).backward()
    assert memory.requires_grad == memory_gradient
    torch.testing.assert_close(loss.detach().cpu().double(), right_loss.detach(), rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(memory.detach().cpu().double(), right_memory.detach(), rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(leaf.grad.cpu().double(), reference.grad, rtol=2 * ROUNDING[dtype], atol=1e-6)


def test_a_label_outside_the_vocabulary_spoils_its_sequence_alone(accelerator: torch.device) -> None:
    """Nothing looks at labels on a device: the loss says it, the gradient stays finite, and no kernel fails."""
    logits, labels, _ = example(torch.float32, -100)
    labels[1, 3], labels[2, 4] = VOCABULARY, -7
    for kernel in ("plain", "auto"):
        leaf = logits.to(accelerator, copy=True).requires_grad_()
        loss, memory = tokens(leaf, labels.to(accelerator), kernel=kernel)
        loss.sum().backward()
        assert loss.detach().cpu().isnan().tolist() == [False, True, True]
        assert memory.cpu().isfinite().all()
        assert leaf.grad.cpu().isfinite().all()
        assert (leaf.grad.cpu()[1, 3] == 0).all()


def test_a_sequence_id_out_of_range_spoils_the_batch(accelerator: torch.device) -> None:
    logits, labels, ids = example(torch.float32, -100)
    loss, _ = tokens(logits.to(accelerator), labels.to(accelerator), sequence_ids=ids.to(accelerator), num_sequences=3)
    assert loss.cpu().isnan().all()


def test_logits_may_be_overwritten_and_of_any_strides(device: torch.device, kernel: str) -> None:
    logits, labels, _ = example(torch.float32, -100)
    turned = logits.transpose(0, 1).contiguous().to(device).transpose(0, 1)
    gradients = []
    for overwrite, given in (
        (False, logits.to(device, copy=True)),
        (True, logits.to(device, copy=True)),
        (False, turned),
    ):
        leaf = given.requires_grad_()
        token_loss(leaf * 1, labels.to(device), overwrite_logits=overwrite, kernel=kernel).loss.sum().backward()
        gradients.append(leaf.grad.cpu())
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])
