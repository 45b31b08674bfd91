"""``emprune`` and ``python -m emprune``: the laboratory's command line, where the laboratory is installed."""

import importlib
import sys

COMMAND = "emprune_lab.cli"
"""By name, since the library knows nothing of the laboratory."""


def main() -> int:
    """Run the command; without the laboratory, or a library of its, say how to get it and return 2."""
    try:
        command = importlib.import_module(COMMAND)
    except ModuleNotFoundError as missing:
        print(
            f"emprune: the command needs {missing.name}; it comes with the laboratory, pip install ./lab in a clone.",
            file=sys.stderr,
        )
        return 2
    return int(command.main())


if __name__ == "__main__":
    raise SystemExit(main())
