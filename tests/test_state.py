"""A restored run goes on exactly as the uninterrupted one, and a state that does not fit is refused whole."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from cases import Positions, play, step

from emprune import EMP, IdBatches, PrunedLoader, Pruner, StateError

SETTINGS: dict[str, Any] = {
    "num_samples": 53, "policy": "emp", "prune_rate": 0.4, "num_epochs": 5, "seed": 3, "warmup_epochs": 0,
    "anneal": 0.2, "budget": "epoch",
}  # fmt: skip
POLICIES = ["emp", "infobatch", "rs2", "random", "static-random", "lfl", "infobatch-published", "full"]


def build(**changed: Any) -> Pruner:
    settings = {**SETTINGS, **changed}
    return Pruner(settings.pop("num_samples"), settings.pop("policy"), **settings)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """As torch.save and the safe torch.load see it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("steps", [4, 5, 6, 12, 17])  # 5 steps an epoch: at its last step, its end, inside
@pytest.mark.parametrize("policy", POLICIES)
def test_a_restored_run_goes_on_as_the_uninterrupted_one(policy: str, steps: int) -> None:
    whole, first, second = build(policy=policy), build(policy=policy), build(policy=policy)
    expected = list(play(whole))
    run = play(first)
    done = [next(run) for _ in range(steps)]
    second.load_state_dict(through_a_file(first.state_dict()))
    rest = list(play(second))
    assert done + rest == expected
    assert second.report().steps == whole.report().steps
    assert second.report().samples_backward == whole.report().samples_backward
    for name, column in whole.table.state_dict().items():
        assert torch.equal(column, second.table.state_dict()[name])


def test_a_state_between_epochs() -> None:
    whole, first, second = build(), build(), build()
    expected = list(play(whole))
    for _ in range(2):
        for ids in IdBatches(first, 7):
            step(first, ids)
        first.end_epoch()
    state = first.state_dict()
    assert "plan.ids" not in state
    second.load_state_dict(through_a_file(state))
    assert list(play(second)) == [row for row in expected if row[0] >= 2]


def test_saving_does_not_disturb_the_run() -> None:
    whole, saved = build(), build()
    expected = list(play(whole))
    seen = []
    for row in play(saved):
        seen.append(row)
        saved.state_dict()
    assert seen == expected


def test_batches_in_flight_are_trained_after_a_restore() -> None:
    first, second = build(), build()
    loader = PrunedLoader(Positions(53), first, batch_size=7, num_workers=2)
    batches = iter(loader)
    step(first, next(batches)[0])
    next(batches)  # read, but its step was never reported
    plan = first.plan.ids.tolist()
    second.load_state_dict(first.state_dict())
    assert second.start == 7
    again = PrunedLoader(Positions(53), second, batch_size=7)
    assert len(again) == 4
    assert torch.cat([ids for ids, _ in again]).tolist() == plan[7:]


def test_steps_that_came_in_another_order_are_not_repeated() -> None:
    first, second = build(), build()
    batches = list(IdBatches(first, 7))
    for at in (0, 2, 3):
        step(first, batches[at])
    second.load_state_dict(through_a_file(first.state_dict()))
    assert [ids.tolist() for ids in IdBatches(second, 7)] == [batches[1].tolist(), batches[4].tolist()]
    for ids in IdBatches(second, 7):
        step(second, ids)
    second.end_epoch()
    assert set(second.table.times_trained[np.concatenate(batches)].tolist()) == {1}


def test_a_state_is_a_copy() -> None:
    pruner, other = build(), build()
    run = play(pruner)
    next(run)
    state = pruner.state_dict()
    kept = {name: value.clone() for name, value in state.items() if isinstance(value, torch.Tensor)}
    list(run)
    assert all(torch.equal(kept[name], state[name]) for name in kept)
    other.load_state_dict(state)
    list(play(other))
    assert all(torch.equal(kept[name], state[name]) for name in kept)


CHANGES = {
    "num_samples": 54, "policy": "random", "prune_rate": 0.5, "num_epochs": 10, "seed": 4, "warmup_epochs": 1,
    "anneal": 0.4, "budget": "run",
}  # fmt: skip


def state_of_a_run() -> dict[str, Any]:
    pruner = build()
    run = play(pruner)
    for _ in range(7):
        next(run)
    return pruner.state_dict()


def contents(pruner: Pruner) -> list[Any]:
    return [(key, value.tolist() if hasattr(value, "tolist") else value) for key, value in pruner.state_dict().items()]


def assert_refused(pruner: Pruner, state: dict[str, Any], *parts: str) -> None:
    """Raises StateError with all parts in its message, and leaves the running pruner as it was."""
    run = play(pruner)
    for _ in range(3):
        next(run)
    before, plan = contents(pruner), pruner.plan
    with pytest.raises(StateError) as caught:
        pruner.load_state_dict(state)
    for part in parts:
        assert part in str(caught.value)
    assert contents(pruner) == before
    assert pruner.plan == plan


@pytest.mark.parametrize("field", CHANGES)
def test_each_setting_that_differs_is_named_with_both_values(field: str) -> None:
    other = build(**{field: CHANGES[field]})
    assert_refused(other, state_of_a_run(), field, repr(CHANGES[field]), repr(SETTINGS[field]))


def test_a_setting_of_the_policy_counts_too() -> None:
    assert_refused(
        build(policy=EMP(beta=2.0)), state_of_a_run(), "policy_settings", "'beta': 2.0", repr(EMP().settings())
    )


def test_rates_per_epoch_are_compared_by_value() -> None:
    rates = [0.2, 0.4, 0.4, 0.4, 0.0]
    saved = build(prune_rate=rates, anneal=0.0).state_dict()
    build(prune_rate=lambda epoch: rates[epoch], anneal=0.0).load_state_dict(saved)
    assert_refused(build(prune_rate=[0.2, 0.4, 0.4, 0.5, 0.0], anneal=0.0), saved, "prune_rate", "0.5", str(rates))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"schema_version": 99}, ("schema_version", "99", "1")),
        ({"schema_version": None}, ("schema_version",)),
        ({"fingerprint": None}, ("policy", "'emp'", "None")),
        ({"counters": None}, ("incomplete", "epoch", "seconds_selecting")),
        ({"plan.weights": None}, ("incomplete", "plan")),
        ({"plan.ids": torch.arange(3)}, ("plan",)),
        ({"plan.ids": torch.arange(32) + 40, "plan.weights": torch.ones(32)}, ("plan",)),
        ({"plan.ids": torch.zeros(32, dtype=torch.int64), "plan.weights": torch.ones(32)}, ("plan",)),
        ({"table.loss": None}, ("'loss'",)),
        ({"table.loss": torch.zeros(3)}, ("'loss'", "(3,)", "(53,)")),
    ],
)
def test_an_incomplete_state_is_refused_whole(change: dict[str, Any], parts: tuple[str, ...]) -> None:
    state = {**state_of_a_run(), **change}
    state = {name: value for name, value in state.items() if value is not None}
    assert_refused(build(), state, *parts)


@pytest.mark.parametrize(
    ("counters", "part"),
    [
        ({"epoch": 5}, "epoch 5; allowed: 0 to 4"),
        ({"epoch": -1}, "epoch -1; allowed: 0 to 4"),
        ({"consumed": 33}, "consumed 33 of 32"),
        ({"consumed": -1}, "consumed -1 of 32"),
    ],
)
def test_a_state_whose_counters_do_not_fit_its_run_is_refused_whole(counters: dict[str, int], part: str) -> None:
    state = state_of_a_run()
    assert_refused(build(), {**state, "counters": {**state["counters"], **counters}}, part)
