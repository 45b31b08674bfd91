"""Loss, entropy and gradient of tokens: against float64, in every dtype and layout, and what memory they take."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from emprune import ArgumentError
from emprune.scoring import token_loss
from emprune.scoring.sequences import fused, plain_loss
from emprune.scoring.sequences.fused import formula

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@pytest.fixture(autouse=True)
def _many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_loss, "chunk_elements", lambda device: 4 * 31)


def example(dtype: torch.dtype, layout: str = "whole") -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [3, 11, 31] with masked entries and extreme values, labels with gaps."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 13, 31, generator=generator).mul(3)
    logits[..., 5] = -torch.inf
    logits[0, 0, :20] = -torch.inf
    logits[1, 1, 7], logits[1, 2, 7] = 1e4, -1e4
    labels = torch.randint(20, 31, (3, 11), generator=generator)
    labels[0, 3] = labels[2, 8] = -100
    labels[2, :6] = -100
    logits = logits.to(dtype)
    if layout == "sliced":
        return logits[:, 1:-1], labels
    if layout == "transposed":
        return logits[:, :11].transpose(1, 2).contiguous().transpose(1, 2), labels
    return logits[:, :11].contiguous(), labels


def in_float64(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float, slopes: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, entropy and gradient token by token, each over the entries that are not masked."""
    logits = logits.detach().double().requires_grad_()
    losses, entropies = (torch.zeros(labels.shape, dtype=torch.float64) for _ in range(2))
    for place in (labels != -100).nonzero().tolist():
        b, t = place
        live = logits[b, t].detach() > -torch.inf
        log_p = torch.log_softmax(logits[b, t][live], dim=0)
        own = live[: labels[b, t]].sum()
        losses[b, t] = -(1 - smoothing) * log_p[own] - smoothing * log_p.mean()
        entropies[b, t] = -(log_p.exp() * log_p).sum()
    (losses * slopes[0] + entropies * slopes[1]).sum().backward()
    return losses.detach(), entropies.detach(), logits.grad


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("layout", ["whole", "sliced", "transposed"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("memory_gradient", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_values_and_gradients_match_float64(
    dtype: torch.dtype, layout: str, smoothing: float, memory_gradient: bool, overwrite: bool
) -> None:
    logits, labels = example(dtype, layout)
    generator = torch.Generator().manual_seed(1)
    slopes = torch.randn(2, *labels.shape, generator=generator, dtype=torch.float64)
    slopes[1] *= memory_gradient
    right = in_float64(logits, labels, smoothing, tuple(slopes))
    leaf = logits.requires_grad_()
    given = leaf * 1 if overwrite else leaf
    loss, entropy = token_loss(
        given, labels, label_smoothing=smoothing, memory_gradient=memory_gradient, overwrite_logits=overwrite
    )
    assert entropy.requires_grad is memory_gradient
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    down = (loss * slopes[0].to(loss.dtype)).sum()
    if memory_gradient:
        down = down + (entropy * slopes[1].to(loss.dtype)).sum()
    down.backward()
    sums = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(loss.double(), right[0], rtol=sums, atol=sums)
    torch.testing.assert_close(entropy.double(), right[1], rtol=sums, atol=sums)
    assert leaf.grad.dtype == dtype
    torch.testing.assert_close(leaf.grad.double(), right[2], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradcheck(smoothing: float) -> None:
    logits = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[0, -100, 2], [4, 3, -100]])

    def both(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(token_loss(x, labels, label_smoothing=smoothing, memory_gradient=True))

    assert torch.autograd.gradcheck(both, logits)


def test_half_precision_sums_in_float32() -> None:
    """Over 50,000 entries of bfloat16: sums in the logits' own precision would be off by far more."""
    logits = torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0)).bfloat16()
    labels = torch.tensor([3, 4])
    loss, entropy = token_loss(logits, labels)
    log_q = torch.log_softmax(logits.double(), dim=1)
    torch.testing.assert_close(loss.double(), F.nll_loss(log_q, labels, reduction="none"), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(entropy.double(), -(log_q.exp() * log_q).sum(dim=1), rtol=1e-6, atol=1e-6)


def test_no_autocast_inside() -> None:
    logits, labels = example(torch.float32)
    alone = token_loss(logits, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = token_loss(logits, labels)
    assert torch.equal(torch.stack(alone), torch.stack(within))


def test_a_masked_label_is_infinite_and_nan_stays_nan() -> None:
    """As in torch: nothing is hidden. The entropy of a masked vocabulary is finite all the same."""
    logits = torch.tensor([[0.0, -torch.inf], [torch.nan, 0.0], [torch.inf, 0.0], [0.0, 0.0]])
    loss, entropy = token_loss(logits, torch.tensor([1, 0, 0, 0]))
    assert loss[0] == torch.inf
    assert entropy[0] == 0
    assert torch.isnan(loss[1:3]).all()
    assert torch.isnan(entropy[1:3]).all()
    assert torch.isfinite(loss[3])


def test_overwritten_logits_are_missed_by_whoever_else_needs_them() -> None:
    logits = torch.randn(2, 3, 5, requires_grad=True) * 1
    other = logits.square().sum()
    token_loss(logits, torch.zeros(2, 3, dtype=torch.int64), overwrite_logits=True).loss.sum().backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        other.backward()


def test_a_slice_of_a_larger_tensor_is_overwritten_alone() -> None:
    whole = torch.randn(2, 4, 5)
    before = whole.clone()
    part = whole[:, :3].requires_grad_()
    token_loss(part, torch.zeros(2, 3, dtype=torch.int64), overwrite_logits=True).loss.sum().backward()
    assert torch.equal(whole[:, 3], before[:, 3])
    assert not torch.equal(whole[:, :3], before[:, :3])


def test_second_derivatives_are_refused() -> None:
    logits = torch.randn(1, 2, 5, requires_grad=True)
    loss = token_loss(logits, torch.tensor([[1, 2]])).loss.sum()
    with pytest.raises(ArgumentError, match="second derivatives"):
        torch.autograd.grad(loss, logits, create_graph=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("memory_gradient", [False, True])
def test_the_formula_for_compilers_says_the_same(smoothing: float, memory_gradient: bool) -> None:
    logits, labels = example(torch.float32)
    one, other = (logits.detach().clone().requires_grad_() for _ in range(2))
    found = token_loss(one, labels, label_smoothing=smoothing, memory_gradient=memory_gradient)
    same = formula(other, labels.flatten(), smoothing, memory_gradient=memory_gradient)
    torch.testing.assert_close(torch.stack(found).flatten(1), torch.stack(same))
    for loss, entropy in (found, same):
        (loss.sum() + entropy.sum() if memory_gradient else loss.sum()).backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_token_loss_names_a_label_outside() -> None:
    with pytest.raises(ArgumentError, match="a token is 9 and the model has logits for 5"):
        token_loss(torch.zeros(1, 5), torch.tensor([9]))


def test_the_kernel_is_triton_s_where_it_is_asked_for_and_plain_on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.zeros(1, 2, 5)
    assert fused._implementation("auto", logits) is fused._implementation("plain", logits) is plain_loss
    monkeypatch.setattr(fused, "has_triton", lambda: False)
    with pytest.raises(ArgumentError, match=r"triton for torch\.float32 logits, without Triton installed"):
        fused._implementation("triton", logits)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("compiled", [False, True])
def test_class_weights_are_those_of_torch(dtype: torch.dtype, smoothing: float, compiled: bool) -> None:
    logits, labels = example(dtype)
    logits = logits.masked_fill(logits == -torch.inf, -20)  # with masked entries torch's smoothed loss is infinite
    weight = torch.linspace(0, 3, 31)
    ours, theirs = logits.clone().requires_grad_(), logits.double().requires_grad_()
    function = torch.compile(token_loss, backend="eager", fullgraph=True) if compiled else token_loss
    found = function(ours, labels, weight=weight, label_smoothing=smoothing)
    expected = F.cross_entropy(
        theirs.flatten(0, 1), labels.flatten(), weight.double(), reduction="none", label_smoothing=smoothing
    ).view(labels.shape)
    tolerance = TOLERANCE[torch.float32 if dtype == torch.bfloat16 else dtype]
    torch.testing.assert_close(found.loss.double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found.entropy, token_loss(logits, labels).entropy)
    slopes = torch.linspace(-1, 2, labels.numel(), dtype=torch.float64).view(labels.shape)
    (found.loss * slopes).sum().backward()
    (expected * slopes).sum().backward()
    torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_a_masked_entry_s_weight_does_not_count() -> None:
    logits, weight = torch.tensor([[0.0, -torch.inf, 1.0]]), torch.tensor([1.0, 100.0, 2.0])
    log_q = torch.log_softmax(torch.tensor([0.0, 1.0]), dim=0)
    expected = -0.9 * 2 * log_q[1] - 0.1 / 2 * (log_q[0] + 2 * log_q[1])
    found = token_loss(logits, torch.tensor([2]), weight=weight, label_smoothing=0.1).loss
    torch.testing.assert_close(found, expected[None])
