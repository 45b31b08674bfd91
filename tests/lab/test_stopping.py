"""When runs stop: at a signal or at the deadline, and which of the two it was."""

import os
import signal
import time

import pytest

from emprune_lab.commandline.console import Stop


def test_a_deadline_stops_and_is_not_taken_for_a_signal():
    assert not Stop()()
    stop = Stop(minutes=0.05 / 60)
    assert not stop()
    time.sleep(0.06)
    assert stop()
    assert not stop.asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    said = []
    stop = Stop()
    with stop.on_signals(said.append):
        os.kill(os.getpid(), number)
        assert stop()
        assert stop.asked
        assert len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
