"""State and reports asked for by another thread, or by a signal's handler, lose nothing and count nothing twice."""

from __future__ import annotations

import copy
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import play, step
from thread_world import on_all_ranks

from emprune import EpochOrderError, IdBatches, Pruner
from emprune.checkpoint import load_state, restore, save
from emprune.distributed import World

N, EPOCHS, BATCH = 400, 6, 2  # 100 steps an epoch


def build(policy: str = "ucb", **options: Any) -> Pruner:
    return Pruner(N, policy, prune_rate=0.5, num_epochs=EPOCHS, seed=1, **options)


@contextmanager
def beside(task: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Call ``task`` again and again in another thread; the errors that it raised."""
    over, errors = threading.Event(), []

    def run() -> None:
        while not over.wait(0.002):  # else the interpreter hardly gets to the steps
            try:
                task()
            except BaseException as error:
                errors.append(error)
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        over.set()
        thread.join()


def same_runs(found: Pruner, expected: Pruner) -> None:
    for name, column in expected.table.state_dict().items():
        assert torch.equal(found.table.state_dict()[name], column), name
    for name in ("steps", "samples_forward", "samples_backward", "epochs"):
        assert getattr(found.report(), name) == getattr(expected.report(), name)


def goes_on(state: dict[str, Any], expected: list[Any]) -> None:
    """The state is that after some step: what is left of the run is a part at its end."""
    pruner = build()
    pruner.load_state_dict(state)
    assert pruner.report().samples_backward == EPOCHS * N // 2 - BATCH * len(rest := list(play(pruner, BATCH)))
    assert rest == expected[len(expected) - len(rest) :]


@pytest.mark.parametrize("what", ["state_dict", "report", "export"])
def test_another_thread_disturbs_nothing(what: str, tmp_path: Path) -> None:
    plain, pruner, states = build(), build(), []
    expected = list(play(plain, BATCH))
    tasks: dict[str, Callable[[], object]] = {
        "state_dict": lambda: states.append(pruner.state_dict()),
        "report": pruner.report,
        "export": lambda: pruner.export(tmp_path / "scores.npz"),
    }
    with beside(tasks[what]) as errors:
        found = list(play(pruner, BATCH))
    assert errors == []
    assert found == expected
    same_runs(pruner, plain)
    for state in states[:: max(1, len(states) // 5)]:
        goes_on(state, expected)


def test_two_threads_that_save_leave_whole_files(tmp_path: Path) -> None:
    plain, pruner, path = build(), build(), tmp_path / "run.state"
    expected = list(play(plain, BATCH))
    with beside(lambda: save(pruner, path)) as errors, beside(lambda: save(pruner, path)) as others:
        assert list(play(pruner, BATCH)) == expected
    assert errors == others == []
    same_runs(pruner, plain)
    goes_on({key: value for key, value in load_state(path).items() if key != "run"}, expected)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.state", "run.state.previous"]


@pytest.mark.parametrize("main", ["steps", "steps and saves"])
def test_a_handler_that_saves_in_the_middle_of_anything(main: str, tmp_path: Path) -> None:
    plain, pruner, path, asked, saved = build(), build(), tmp_path / "run.state", 0, 0
    expected = list(play(plain, BATCH))

    def handler(*_: Any) -> None:
        nonlocal saved
        save(pruner, path)
        saved += 1

    def ask() -> None:
        nonlocal asked
        if asked == saved:  # not in the middle of another handler, or they would pile up
            asked += 1
            signal.pthread_kill(main_thread, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    main_thread = threading.main_thread().ident
    try:
        with beside(ask) as errors:
            found = []
            for row in play(pruner, BATCH):
                found.append(row)
                if main == "steps and saves" and len(found) % 10 == 0:
                    save(pruner, path)
                    pruner.report()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert errors == []
    assert saved > 20
    assert found == expected
    same_runs(pruner, plain)
    again = build()
    restore(again, path)
    goes_on(again.state_dict(), expected)


def test_a_save_inside_of_another_one_leaves_both_whole() -> None:
    """The handler comes where observations have been collected and not yet applied."""
    plain, pruner = build(), build()
    batches = list(IdBatches(pruner, BATCH))
    for ids in batches[:5]:
        step(plain, ids)
        step(pruner, ids)
    running, inner = pruner._now(), []
    collect = running.exchanged

    def interrupted() -> Any:
        found = collect()
        if not inner:
            inner.append(None)
            inner[0] = pruner.state_dict()
        return found

    running.exchanged = interrupted
    outer, expected = pruner.state_dict(), plain.state_dict()
    for state in (outer, inner[0]):
        assert state["counters"]["steps"] == expected["counters"]["steps"] == 5
        assert torch.equal(state["table.times_trained"], expected["table.times_trained"])
        assert torch.equal(state["table.loss_mean"], expected["table.loss_mean"])
    running.exchanged = collect
    step(plain, batches[5]), step(pruner, batches[5])
    same_runs(pruner, plain)


def test_several_ranks_say_that_a_handler_cannot_save_in_the_middle_of_an_exchange() -> None:
    def run(world: World) -> str:
        pruner = build("emp", world=world)
        step(pruner, next(iter(IdBatches(pruner, BATCH))))
        running, said = pruner._now(), []
        collect = running.exchanged

        def interrupted() -> Any:
            with pytest.raises(EpochOrderError) as caught:
                pruner.state_dict()
            said.append(str(caught.value))
            return collect()

        running.exchanged = interrupted
        pruner.state_dict()
        return said[0]

    for message in on_all_ranks(run, 2):
        assert "in the middle of exchanging observations" in message
        assert "let a handler set a flag" in message


def test_a_pruner_can_be_copied_and_pickled() -> None:
    plain, pruner = build("emp"), build("emp")
    expected = list(play(plain, BATCH))
    run = play(pruner, BATCH)
    done = [next(run) for _ in range(130)]
    for again in (copy.deepcopy(pruner), pickle.loads(pickle.dumps(pruner))):
        assert done + list(play(again, BATCH)) == expected
