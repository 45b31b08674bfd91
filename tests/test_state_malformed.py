"""A malformed state is a StateError on every rank, one bad one alone too, and changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import play
from thread_world import on_all_ranks

from emprune import InfoBatch, Policy, Pruner, StateError
from emprune.distributed import World
from emprune.errors import EmpruneError, RankError

N, BATCH = 24, 4


def build(world: World | None = None, partitioned: bool = False, policy: Policy | str = "infobatch") -> Pruner:
    size = BATCH if partitioned else None
    return Pruner(N, policy, prune_rate=0.5, num_epochs=4, seed=1, world=world, partition_batch_size=size)


def begun(pruner: Pruner, steps: int = 1) -> Pruner:
    """In the middle of an epoch."""
    run = play(pruner, BATCH)
    for _ in range(steps):
        next(run)
    return pruner


WRONG = [None, 3, -1, "text", [], {}, {"epoch": "one"}, torch.zeros(()), torch.zeros(5, dtype=torch.bfloat16), object()]


def variants(state: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The state with each of its parts gone, or of each wrong type; and so the entries of its dicts."""
    found = []
    for name, value in state.items():
        found.append((f"without {name}", {key: state[key] for key in state if key != name}))
        found += [(f"{name} {wrong!r}", {**state, name: wrong}) for wrong in WRONG]
        for key in value if isinstance(value, dict) else ():
            found.append((f"{name} without {key}", {**state, name: {k: value[k] for k in value if k != key}}))
            found += [(f"{name}.{key} {wrong!r}", {**state, name: {**value, key: wrong}}) for wrong in WRONG]
    return found


def contents(pruner: Pruner) -> str:
    with np.printoptions(threshold=10**6):
        return repr({key: np.asarray(value).tolist() for key, value in pruner.state_dict().items()})


def load(pruner: Pruner, state: Any) -> str:
    """What became of it: "ok", or the name of the error and its message."""
    try:
        pruner.load_state_dict(state)
    except EmpruneError as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


FINE = (
    "without schedule", "without rows", "counters.epoch 3", "counters.consumed 3", "counters.global_batch",
    "counters.s", "plan.shares.repeats 3",
)  # fmt: skip
"""What a state may lack, and counters where other numbers would do."""


def test_every_part_that_is_malformed_is_named() -> None:
    pruner, state = begun(build()), begun(build(), 2).state_dict()
    before = contents(pruner)
    for name, changed in variants(state):
        outcome = load(pruner, changed)
        if outcome == "ok":
            assert name.startswith(FINE), name
            pruner = begun(build())
            before = contents(pruner)
            continue
        assert outcome.startswith("StateError"), (name, outcome)
        assert contents(pruner) == before, name
    for nothing in (None, 3, [], "state"):
        assert load(pruner, nothing).startswith("StateError")


def test_every_part_of_a_partitioned_state_too() -> None:
    def attempts(world: World) -> tuple[list[tuple[str, str]], bool]:
        pruner, state = begun(build(world, partitioned=True)), begun(build(world, partitioned=True), 2).state_dict()
        before = contents(pruner)
        changed = variants(state)
        changed += [
            ("padding", {**state, "plan.shares": {"total": 12, "repeats": 99}}),
            ("total", {**state, "plan.shares": {"total": 99, "repeats": 0}}),
            ("consumed", {**state, "counters": {**state["counters"], "consumed": 999}}),
            ("twice", {**state, "plan.ids": torch.zeros_like(state["plan.ids"])}),
        ]
        found = [(name, load(pruner, one)) for name, one in changed if not name.startswith(FINE)]
        return found, contents(pruner) == before

    for found, unchanged in on_all_ranks(attempts, 2):
        for name, outcome in found:
            assert outcome.startswith("StateError"), (name, outcome)
        assert unchanged


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("wrong_rank", [0, 1, 2])
def test_one_bad_state_is_an_error_on_all_ranks(wrong_rank: int, partitioned: bool) -> None:
    def attempt(world: World) -> tuple[str, bool, int]:
        pruner, saved = build(world, partitioned), begun(build(world, partitioned), 2)
        state = saved.state_dict()
        if world.rank == wrong_rank:
            del state["counters"]
        outcome, untouched = load(pruner, state), pruner.epoch == 0 and not pruner.start
        pruner.load_state_dict(saved.state_dict())  # nobody is left behind in a collective
        return outcome, untouched, len(list(play(pruner, BATCH)))

    results = on_all_ranks(attempt, 3)
    for rank, (outcome, untouched, steps) in enumerate(results):
        whose = "" if rank == wrong_rank else f"rank {wrong_rank}: "
        assert outcome.startswith(f"StateError: {whose}state is incomplete; it lacks consumed, epoch")
        assert untouched
        assert steps == results[0][2] > 1


@pytest.mark.parametrize("partitioned", [False, True])
def test_states_of_different_steps_are_an_error_before_anything_is_changed(partitioned: bool) -> None:
    def states(world: World) -> Any:
        first, second = build(world, partitioned), build(world, partitioned)
        run = play(second, BATCH)
        mid = begun(first).state_dict()
        while second.epoch == 0:
            next(run)
        later = second.state_dict()
        pruner = build(world, partitioned)
        try:
            pruner.load_state_dict(later if world.rank else mid)
        except RankError as error:
            return str(error), pruner.epoch, pruner.report().steps

    for message, epoch, steps in on_all_ranks(states, 2):
        assert message.startswith("ranks disagree on epoch: 0 on rank 0, 1 on rank 1")
        assert (epoch, steps) == (0, 0)


class Unnamed(InfoBatch):
    """Another rule under its parent's name."""


class Named(InfoBatch):
    name = "another"


class Plain(Policy):
    pass


def test_a_subclass_without_a_name_of_its_own_shares_no_state_with_its_parent() -> None:
    identities = {kind: build(policy=kind()).fingerprint["policy"] for kind in (InfoBatch, Unnamed, Named, Plain)}
    assert list(identities.values()) == ["infobatch", "infobatch as Unnamed", "another", "policy as Plain"]
    state = build(policy=Unnamed()).state_dict()
    build(policy=Unnamed()).load_state_dict(state)
    with pytest.raises(StateError, match=r"policy is 'infobatch' here, .* saved with 'infobatch as Unnamed'"):
        build().load_state_dict(state)
