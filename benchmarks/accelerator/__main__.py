"""The command: ``benchmarks/accelerator.sh --help``."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from accelerator import needs

PARTS = ("correctness", "speed", "headline")
MODES = ("plain", "graph", "compile-graph", "compile")


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="accelerator.sh", description=sys.modules["accelerator"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=9.5, help="of the whole call")
    parser.add_argument("--out", type=Path, default=Path("runs/accelerator"), help="folder of the figures")
    parser.add_argument("--data-dir", help="folder of cifar-100-python, or its parent; else EMPRUNE_DATA")
    parser.add_argument("--wheels", type=Path, help="folder of wheels, used for what this machine lacks")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--jobs", type=int, help="runs at once, instead of the number that is fastest here")
    parser.add_argument("--mode", choices=MODES, help="how steps are executed, instead of the fastest way here")
    parser.add_argument("--work", type=Path, help="folder for checkpoints on this machine; else a fixed temporary one")
    parser.add_argument("--correctness-seconds", type=float, default=75)
    parser.add_argument("--speed-seconds", type=float, default=150)
    parser.add_argument("--only", nargs="+", default=(), help="measurements of speed whose names begin like this")
    parser.add_argument("--rehearse", action="store_true", help="every part at a tiny size, as on a processor")
    return parser.parse_args()


def main() -> int:
    """Returns 0, also where a part found failures; 2 where nothing can begin."""
    began, asked = time.monotonic(), options()
    installed = needs.install_missing(asked.wheels) if asked.wheels else []
    if missing := needs.required():
        print(f"Nothing can begin: {', '.join(missing)} cannot be imported by {sys.executable}.")
        return 2
    from accelerator.call import Call  # imports torch

    work = asked.work or Path(tempfile.gettempdir()) / "emprune-accelerator"
    command = f"benchmarks/accelerator.sh {shlex.join(sys.argv[1:])}"
    try:
        call = Call(asked, began + 60 * asked.minutes, work, command)
    except OSError as error:
        print(f"Nothing can begin: {error}.")
        return 2
    if not call.begin(installed):
        return 2
    parts: dict[str, Any] = {"correctness": call.correctness, "speed": call.speed, "headline": call.headline}
    for name in PARTS:
        if name in asked.parts:
            parts[name]()
    print(call.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
