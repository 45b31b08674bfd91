"""What a run raises that was asked to stop; apart from the run itself, so that it costs no import of torch."""

from __future__ import annotations


class Interrupted(Exception):  # noqa: N818 - not an error
    """The run was asked to stop; its state lies in its folder.

    Args:
        state: what was done until then.
        saved: what a person may rely on.
    """

    def __init__(self, state: str, saved: str = "Everything is saved") -> None:
        super().__init__(state)
        self.saved = saved
