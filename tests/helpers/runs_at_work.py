"""What processes of a comparison do in tests, by the policy of their run."""

import os
import signal
import time

from emprune_lab.runs.event import Event
from emprune_lab.runs.progress import Progress

LONG = 300_000
"""Characters that no pipe takes at once."""


def work(spec, tell, should_stop):
    """End as the policy says: killed, ended, or after telling where it stands; "endless" until asked to stop."""
    if spec.policy == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if spec.policy == "ended":
        os._exit(3)
    tell(Event(spec, Progress(0, 1, 1, 1, 1, 2, 0.0, 0.0, 1.0, 0.0)))
    while spec.policy == "endless" and not should_stop():
        time.sleep(0.01)
    return Event(spec, error=f"{spec.policy} {os.getpid()} {'.' * LONG}")
