"""The loss in chunks: the same whatever their size, and no second tensor as large as the logits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from emprune.scoring import tokens
from emprune.scoring.sequences import plain_loss


class Largest(TorchDispatchMode):
    """Elements of every new tensor that an operation makes, largest first."""

    def __init__(self, *known: torch.Tensor) -> None:
        super().__init__()
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._kept: list[torch.Tensor] = []
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in self._known:
                self._known.add(tensor.untyped_storage().data_ptr())
                self._kept.append(tensor)  # so that no address comes twice
                self.sizes = sorted([*self.sizes, tensor.numel()], reverse=True)
        return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_no_second_tensor_of_the_logits_size(
    dtype: torch.dtype, shift: bool, gaps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing larger than a chunk of 4 tokens in forward, the gradient alone in backward, not even that in place."""
    monkeypatch.setattr(plain_loss, "chunk_elements", lambda device: 4 * 311)
    buffers = 2 * 4 * 311
    leaf = torch.randn(2, 40, 311).to(dtype).requires_grad_()
    labels = torch.randint(311, (2, 40))
    if gaps:
        labels[:, ::3] = -100
    with Largest(leaf) as forward:
        loss = tokens(leaf, labels, shift=shift).loss.sum()
    with Largest(leaf) as backward:
        loss.backward()
    assert forward.sizes[0] == buffers
    assert backward.sizes[:2] == [leaf.numel(), buffers]
    given = leaf.detach().clone().requires_grad_() * 1
    loss = tokens(given, labels, shift=shift, overwrite_logits=True).loss.sum()
    with Largest(given) as in_place:
        torch.autograd.grad(loss, given)
    assert in_place.sizes[0] == buffers
    with Largest(leaf) as plain:
        F.cross_entropy(leaf.flatten(0, 1), labels.flatten()).backward()
    assert plain.sizes[2] == leaf.numel()  # the yardstick sees what torch makes


@pytest.mark.parametrize("tokens_at_once", [1, 3, 100])
@pytest.mark.parametrize("transposed", [False, True])
def test_no_value_depends_on_the_chunks(tokens_at_once: int, transposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against torch's own cross-entropy; tokens without target have no loss and no gradient."""
    monkeypatch.setattr(plain_loss, "chunk_elements", lambda device: tokens_at_once * 9)
    logits = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0))
    if transposed:
        logits = logits.transpose(1, 2).contiguous().transpose(1, 2)
    targets = torch.tensor([0, 8, -1, 3, 4, -2, 5, -1, 7, 1])
    found = plain_loss.forward(logits, targets, 0.1)
    leaf = logits.clone().requires_grad_()
    right = F.cross_entropy(
        leaf.flatten(0, 1), targets.clamp_min(-1), reduction="none", label_smoothing=0.1, ignore_index=-1
    )
    torch.testing.assert_close(found.loss, right)
    slope = torch.linspace(-1, 2, 10)
    (right * slope).sum().backward()
    grad = torch.full_like(logits, torch.nan)
    plain_loss.backward(logits, targets, found, plain_loss.Slopes(slope, None), 0.1, grad)
    torch.testing.assert_close(grad, leaf.grad)
