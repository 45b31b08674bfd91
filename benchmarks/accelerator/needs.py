"""What this machine has and lacks, before anything begins; wheels brought along are used for what it lacks."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def install_missing(wheels: Path) -> list[str]:
    """Install those wheels of a folder whose distributions are not here, for this process and its children.

    Returns:
        What was installed. A machine's own versions stay, since its other packages were made for them.
    """
    found = sorted(wheels.glob("*.whl"))
    if not found:
        print(f"no wheels lie in {wheels}")
    missing = [path for path in found if not _is_installed(path.name.split("-")[0])]
    if not missing:
        return []
    site = tempfile.mkdtemp(prefix="wheels-")
    options = ["--no-index", "--no-deps", "--no-compile", "--quiet", "--disable-pip-version-check", "--target", site]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, *map(str, missing)], capture_output=True, text=True
    )
    if done.returncode:
        print(f"the wheels in {wheels} cannot be installed:\n{done.stderr[-1000:]}")
        return []
    sys.path.insert(0, site)
    os.environ["PYTHONPATH"] = f"{site}:{os.environ.get('PYTHONPATH', '')}"
    importlib.invalidate_caches()
    return [path.name for path in missing]


def required() -> list[str]:
    """What nothing can begin without and is not here."""
    return [name for name in ("torch", "numpy") if not _can_import(name)]


def lacking(device: str, data: str | None) -> dict[str, str]:
    """What is lacking, and what is therefore left out.

    Args:
        data: why the data set cannot be read; None: it can.
    """
    found = {}
    if not _can_import("pytest"):
        found["pytest"] = "correctness"
    if device != "cpu" and not _can_import("triton"):
        found["triton"] = "compiled modes; tokens go without the kernel"
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        found["a C compiler"] = "compiled modes; tokens go without the kernel"
    if data is not None:
        found[f"the data set ({data})"] = "the headline"
    return found


def about(device: str) -> dict[str, Any]:
    """The device and versions, as they belong beside every figure. Raises RuntimeError without such a device."""
    import torch
    from machine import describe

    from emprune_lab.records.provenance import device_name, git_commit

    torch.ones(1, device=device).sum().item()
    cuda = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if device != "cpu" else {}
    return {"device": device_name(device), "commit": git_commit(), **describe(), **cuda}


def check_data(data_dir: str | None) -> None:
    """Read the data set, whose files are checked by their md5. Raises DataError."""
    from emprune_lab.data import load

    load("cifar100", data_dir)


def _can_import(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
