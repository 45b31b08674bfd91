"""When runs stop: at a signal or at the deadline, and which of the two it was."""

import os
import signal
import time

import pytest

from emprune_lab.commandline.stopping import Stop


def test_a_deadline_sets_the_flag_and_is_told_from_a_signal():
    assert not Stop().is_set()
    stop = Stop(minutes=0.05 / 60)
    assert not stop.is_set()
    time.sleep(0.06)
    assert stop.is_set()
    assert stop.out_of_time


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    said = []
    stop = Stop()
    with stop.on_signals(said.append):
        os.kill(os.getpid(), number)
        assert stop.is_set()
        assert not stop.out_of_time
        assert len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
