"""Where a result comes from: machine, versions and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import torch

import emprune


@cache
def device_name(device: str) -> str:
    """The accelerator's name, as far as torch knows it, or the processor's with the number of cores."""
    if torch.device(device).type != "cpu":
        return _accelerator_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def _accelerator_name(device: str) -> str:
    try:
        return str(torch.get_device_module(device).get_device_name(device))
    except (AttributeError, RuntimeError):
        return device


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    return {
        "emprune": emprune.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


@cache
def git_commit(folder: Path = Path(emprune.__file__).parent) -> str:
    """The commit of a source tree, with "+changes" behind it if the folder was edited; "unknown" outside git.

    Args:
        folder: emprune's own, unless named.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
