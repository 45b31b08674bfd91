"""The time left: nothing before something was measured, then samples left at the speed measured."""

import pytest

from emprune_lab.commandline.forecast import Forecast


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_nothing_is_said_before_something_was_measured(clock):
    forecast = Forecast({"a": 100, "b": 100}, clock)
    clock.now += 60  # loading
    assert forecast.seconds_left() is None
    forecast.progressed("a", 0.01)
    assert forecast.seconds_left() is None
    clock.now += 5
    assert forecast.seconds_left() is None
    forecast.progressed("a", 0.51)
    assert forecast.seconds_left() == pytest.approx((49 + 100) * 5 / 50)


def test_runs_count_by_their_samples(clock):
    # A full run of 1,000 samples in 10 s, then ten of 100: a second each, and not 10 s each as the mean of runs says.
    forecast = Forecast({"full": 1000, **{str(one): 100 for one in range(10)}}, clock)
    forecast.progressed("full", 0.0)
    clock.now += 10
    forecast.ended("full")
    assert forecast.seconds_left() == pytest.approx(10)
    forecast.progressed("0", 0.0)
    forecast.progressed("1", 0.0)  # at the same time
    clock.now += 1
    forecast.ended("0")
    forecast.ended("1")
    assert forecast.seconds_left() == pytest.approx(800 * 11 / 1200)


def test_what_an_earlier_call_did_says_nothing_of_the_speed(clock):
    forecast = Forecast({"kept": 1000, "resumed": 100, "new": 100}, clock)
    forecast.ended("kept")
    forecast.progressed("resumed", 0.5)
    clock.now += 10
    forecast.progressed("resumed", 0.75)
    assert forecast.seconds_left() == pytest.approx((25 + 100) * 10 / 25)


def test_after_the_last_run_nothing_is_left(clock):
    forecast = Forecast({"a": 7}, clock)
    forecast.progressed("a", 0.1)
    clock.now += 5
    forecast.ended("a")
    assert forecast.seconds_left() == 0
