"""``emprune`` and ``python -m emprune``: the command line, where the lab's libraries are installed."""

import sys


def main() -> int:
    """Run the command; without the libraries of ``emprune[lab]``, say how to get them and return 2."""
    try:
        from emprune.lab.cli import main as run
    except ModuleNotFoundError as missing:
        print(f"emprune: the command needs {missing.name}; install it by pip install 'emprune[lab]'.", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    raise SystemExit(main())
