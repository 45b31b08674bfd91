"""Examples that are shown as a script without pruning and the few lines that make it prune."""

from __future__ import annotations

import re


def patched(script: str, diff: str, *, reverse: bool = False) -> str:
    """The script with a unified diff applied, or taken back; its line numbers are not looked at."""
    for hunk in re.split(r"^@@.*@@\n", diff, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in kinds) for kinds in (" -", " +"))
        if reverse:
            before, after = after, before
        assert script.count(before) == 1
        script = script.replace(before, after)
    return script


def changed(diff: str, sign: str) -> list[str]:
    """The lines that a diff adds ("+") or takes away ("-"), without their indentation, in order of their text."""
    found = [line for line in diff.splitlines() if line.startswith(sign) and not line.startswith(sign * 3)]
    return sorted(line[1:].strip() for line in found)
