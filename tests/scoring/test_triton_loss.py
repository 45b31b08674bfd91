"""The fused kernels against the plain version: on a GPU where there is one, else run by Triton's interpreter."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from emprune.scoring import token_loss, tokens

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
runs_kernels = pytest.mark.skipif(not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, not interpreted")


@pytest.mark.skipif(INTERPRETED or torch.cuda.is_available(), reason="the kernels run here")
def test_in_the_interpreter() -> None:
    """A process of its own: Triton decides how kernels run when it is first imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    if INTERPRETED or torch.cuda.is_available():
        monkeypatch.setattr("emprune.scoring.sequences.triton_loss._BLOCK", 16)


def example(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [2, 5, 37], a slice, with extreme and masked entries, in whole blocks too; labels with gaps."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 6, 37, generator=generator).mul(3)
    logits[..., 5] = -torch.inf
    logits[0, 0, :20] = -torch.inf
    logits[0, 1, 20:] = -torch.inf
    logits[1, 1, 7], logits[1, 2, 7] = 1e4, -1e4
    labels = torch.tensor([[22, 3, -100, 30, 36], [-100, 31, 30, 7, 0]])
    return logits.to(DEVICE, dtype)[:, :5], labels.to(DEVICE)


@runs_kernels
@pytest.mark.parametrize(
    ("dtype", "smoothing", "memory_gradient"),
    [
        (torch.float32, 0.0, False),
        (torch.float32, 0.1, False),
        (torch.float32, 0.0, True),
        (torch.bfloat16, 0.1, True),
        (torch.float16, 0.1, True),
    ],
)
def test_the_kernels_match_the_plain_version(dtype: torch.dtype, smoothing: float, memory_gradient: bool) -> None:
    logits, labels = example(dtype)
    slopes = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    values, gradients = [], []
    for kernel, overwrite in (("plain", False), ("triton", False), ("triton", True)):
        leaf = logits.clone().requires_grad_()
        found = token_loss(
            leaf * 1, labels, label_smoothing=smoothing, memory_gradient=memory_gradient,
            overwrite_logits=overwrite, kernel=kernel,
        )  # fmt: skip
        (found.loss * slopes[0] + (found.entropy * slopes[1] if memory_gradient else 0)).sum().backward()
        values.append(torch.stack(found).detach())
        gradients.append(leaf.grad)
    rough = {"rtol": 1e-2, "atol": 1e-3} if dtype != torch.float32 else {"rtol": 1e-4, "atol": 1e-5}
    for value, gradient in zip(values[1:], gradients[1:], strict=True):
        torch.testing.assert_close(value, values[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(gradient, gradients[0], **rough)


@runs_kernels
def test_overwritten_logits_are_missed() -> None:
    logits = torch.randn(2, 3, 5, device=DEVICE, requires_grad=True) * 1
    other = logits.square().sum()
    labels = torch.zeros(2, 3, dtype=torch.int64, device=DEVICE)
    token_loss(logits, labels, overwrite_logits=True, kernel="triton").loss.sum().backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        other.backward()


@runs_kernels
def test_strided_and_transposed_logits() -> None:
    logits, labels = example(torch.float32)
    turned = logits.transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    whole = logits.contiguous().requires_grad_()
    for leaf in (turned, whole):
        token_loss(leaf, labels, kernel="triton").loss.sum().backward()
    torch.testing.assert_close(turned.grad, whole.grad, rtol=1e-5, atol=1e-9)


@runs_kernels
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_infinite_and_fully_masked_rows() -> None:
    """Nothing is hidden, and one row does not touch another; a NaN without label does not matter."""
    logits = torch.zeros(5, 37)
    logits[0, 20], logits[1, 3], logits[2] = torch.nan, torch.inf, -torch.inf
    logits[4] = torch.nan
    labels = torch.tensor([1, 2, 3, 4, -100])
    found = {}
    for kernel in ("plain", "triton"):
        leaf = logits.to(DEVICE, copy=True).requires_grad_()
        loss, entropy = token_loss(leaf, labels.to(DEVICE), kernel=kernel)
        loss.sum().backward()
        found[kernel] = torch.cat([loss[:, None], entropy[:, None], leaf.grad], dim=1).detach()
    assert torch.isnan(found["triton"][:3, :2]).all()
    assert torch.isfinite(found["triton"][3:]).all()
    assert (found["triton"][4] == 0).all()
    torch.testing.assert_close(found["triton"][3:], found["plain"][3:])


@runs_kernels
def test_packed_sequences_through_the_kernel() -> None:
    logits, _ = example(torch.float32)
    labels, ids = torch.tensor([[22, 6, 30, 30, 36]] * 2), torch.tensor([[0, 0, 0, 1, 1], [2] * 5])
    plain, fused = (
        tokens(logits, labels.to(DEVICE), shift=True, sequence_ids=ids.to(DEVICE), num_sequences=3, kernel=kernel)
        for kernel in ("plain", "triton")
    )
    torch.testing.assert_close(fused, plain)
