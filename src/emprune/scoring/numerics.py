"""Precision of sums, and when values may be read: what all scoring functions share."""

from __future__ import annotations

import torch


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Precision of sums: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def can_read(values: torch.Tensor) -> bool:
    """Whether reading values costs nothing: they lie on the CPU, and nothing is being compiled or mapped over."""
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(values)
