"""Processes that train runs: what happens to one of them is told, and the others go on."""

import multiprocessing

import pytest
from runs_at_work import work

from emprune_lab.runs.workers import work_in_processes
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for


def specs(*policies):
    return [RunSpec("digits", policy, 0.5, seed, recipe_for("digits")) for seed, policy in enumerate(policies)]


def test_a_killed_process_fails_its_run_alone():
    events = []
    runs = specs("killed", "first", "ended", "second")
    work_in_processes(runs, work, 2, events.append, lambda: False)
    ends = {event.spec.policy: event.error for event in events if event.progress is None}
    assert "was killed by signal 9" in ends["killed"]
    assert "ended with exit code 3" in ends["ended"]
    assert ends["first"].startswith("first ")
    assert ends["second"].startswith("second ")
    assert [event.spec.policy for event in events if event.progress] == ["first", "second"]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_here_ends_all_processes(error):
    def fail(event):
        raise error

    with pytest.raises(error):
        work_in_processes(specs("endless", "endless"), work, 2, fail, lambda: False)
    assert not multiprocessing.active_children()


def test_asked_to_stop_they_end_their_runs_and_begin_no_other():
    events = []
    work_in_processes(specs("endless", "waiting"), work, 1, events.append, lambda: bool(events))
    assert [event.spec.policy for event in events] == ["endless", "endless"]
