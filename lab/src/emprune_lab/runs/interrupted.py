"""What a run raises that was asked to stop; apart from the run itself, so that it costs no import of torch."""

from __future__ import annotations


class Interrupted(Exception):  # noqa: N818 - not an error
    """The run was asked to stop; its state lies in its folder."""
