"""What a device is, and what it does without emulation."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import torch

from emprune.errors import ArgumentError
from emprune_lab.specs.recipe import Precision

_CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Of x86 and of ARM, as Linux names them."""


def check_device(name: str) -> None:
    """Raise ArgumentError unless this machine has the device and this build of torch can use it."""
    try:
        device = torch.device(name)
        known = (device.index or 0) < torch.get_device_module(device).device_count()
    except (RuntimeError, AttributeError):
        known = False
    if not known:
        raise ArgumentError("device", name, "cpu, or an accelerator that this machine has, such as cuda")


def does_natively(precision: Precision, device: str) -> bool:
    """Whether the device has instructions for it. Without, bfloat16 is emulated and many times slower than float32."""
    if precision == "float32":
        return True
    kind = torch.device(device).type
    if kind == "cpu":
        return bool(_cpu_flags() & _CPU_FLAGS) and not _held_back()
    return kind != "cuda" or torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


def warning_of(precision: Precision, device: str) -> str:
    """What to say to a person who asks for it there; "" where there is nothing to say."""
    if does_natively(precision, device):
        return ""
    return f"{device} has no instructions for {precision}: it will be many times slower than float32."


@cache
def _cpu_flags() -> frozenset[str]:
    """The processor's instructions as Linux lists them; elsewhere none are known."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    listed = [line.split(":", 1)[1].split() for line in lines if line.lower().startswith(("flags", "features"))]
    return frozenset(listed[0] if listed else ())


def _held_back() -> bool:
    """Whether torch or oneDNN is told by the environment to use older instructions than there are."""
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    onednn = allowed in ("", "ALL", "DEFAULT") or any(name in allowed for name in ("BF16", "FP16", "AMX", "AVX10"))
    return not onednn or torch.backends.cpu.get_cpu_capability() == "AVX2"
