"""The functions of each task can be traced whole: a compiled step has no break in them, and faults become NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from emprune.scoring import binary, dense, multilabel, regression

LOGITS = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
YES = torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0]])
CLASSES = torch.arange(20).view(4, 5) % 3
CALLS: dict[str, tuple[Callable[..., Any], torch.Tensor, torch.Tensor, float]] = {
    "binary": (binary, LOGITS[:, 0, 0], YES[:, 0], 2),
    "multilabel": (lambda x, y: multilabel(x, y, unknown=x > 9), LOGITS[:, :, 0], YES, -1),
    "dense": (
        lambda x, y: dense(x, y, ignore_index=0, weight=torch.ones(3), label_smoothing=0.1), LOGITS, CLASSES, 3,
    ),
    "regression": (lambda x, y: regression(x, y, variance=x.exp()), LOGITS, LOGITS + 1, torch.nan),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_compiled_whole(name: str) -> None:
    function, given, targets, wrong = CALLS[name]
    compiled = torch.compile(function, backend="eager", fullgraph=True)
    torch.testing.assert_close(tuple(compiled(given, targets)), tuple(function(given, targets)))
    bad = targets.clone()
    bad[2] = wrong
    assert compiled(given, bad).loss.isfinite().tolist() == [True, True, False, True]
