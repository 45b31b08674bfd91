"""``emprune`` and ``python -m emprune``: the laboratory's command line, where the laboratory is installed."""

import sys


def main() -> int:
    """Run the command; without the laboratory, or a library of its, say how to get it and return 2."""
    try:
        from emprune_lab.cli import main as run
    except ModuleNotFoundError as missing:
        print(f"emprune: the command needs {missing.name}; install it by pip install emprune-lab.", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    raise SystemExit(main())
