"""In which precision sums are made, and where values may be read."""

from __future__ import annotations

import pytest
import torch

from emprune.scoring.numerics import can_read, working_dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sums_are_in_float32(dtype: torch.dtype) -> None:
    assert working_dtype(dtype) == torch.float32


def test_sums_of_float64_stay_in_float64() -> None:
    assert working_dtype(torch.float64) == torch.float64


def test_values_on_another_device_are_not_read() -> None:
    assert can_read(torch.ones(2))
    assert not can_read(torch.ones(2, device="meta"))


def test_values_are_not_read_while_compiling() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if can_read(x) else x - 1

    x = torch.ones(2)
    assert step(x).tolist() == [2, 2]
    assert torch.compile(step, backend="eager", fullgraph=True)(x).tolist() == [0, 0]
