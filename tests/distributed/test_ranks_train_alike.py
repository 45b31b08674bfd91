"""Two and four real ranks do what one process does, or all of them raise the same error."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORLDS = (2, 4)
SCRIPT = Path(__file__).parents[1] / "helpers" / "ranks_at_work.py"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[int, list[dict]]:
    """By world size, each rank's outcome of every scenario."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, str(SCRIPT), str(folder), *(str(free_port()) for _ in (1, *WORLDS))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return {
        world: [json.loads((folder / f"{world}-{rank}.json").read_text()) for rank in range(world)]
        for world in (1, *WORLDS)
    }


def global_batches(per_rank: list[dict]) -> list[set[tuple[int, int]]]:
    """The global batches, as sets of (epoch, id)."""
    steps = [[(batch[0], i) for i in batch[1:]] for rank in per_rank for batch in rank["batches"]]
    count = len(per_rank[0]["batches"])
    return [set().union(*steps[s::count]) for s in range(count)]


def same_columns(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("policy", ["emp", "infobatch", "repb", "ucb", "rs2", "seta", "orderdp", "kakurenbo"])
def test_ranks_plan_score_and_count_like_one_process(outcomes, world, policy) -> None:
    (alone,) = [outcome["every_policy"][policy] for outcome in outcomes[1]]
    per_rank = [outcome["every_policy"][policy] for outcome in outcomes[world]]
    for rank in per_rank:
        assert rank["steps"] == per_rank[0]["steps"] == alone["steps"]
        assert rank["backward"] == alone["backward"]
        assert rank["plans"] == alone["plans"]
        same_columns(rank["table"], alone["table"])


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("rate", ["auto", "target"])
def test_a_rate_that_follows_the_scores_is_the_same_on_all_ranks(outcomes, world, rate) -> None:
    (alone,) = [outcome["following_rates"][rate] for outcome in outcomes[1]]
    assert len(set(alone["kept"])) > 1
    for outcome in outcomes[world]:
        found = outcome["following_rates"][rate]
        for name in ("kept", "plans", "steps", "backward"):
            assert found[name] == alone[name], name
        same_columns(found["table"], alone["table"])
    if rate == "target":
        assert alone["backward"] == sum(alone["kept"]) == round(0.3 * 103 * 4)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("policy", ["selective-backprop", "divbs"])
def test_in_batch_policies_meet_the_budget_on_all_ranks_together(outcomes, world, policy) -> None:
    (alone,) = [outcome["in_batch"][policy] for outcome in outcomes[1]]
    for outcome in outcomes[world]:
        assert outcome["in_batch"][policy]["backward"] == alone["backward"] == 4 * round(0.4 * 103)


@pytest.mark.parametrize("world", WORLDS)
def test_drop_last_leaves_out_the_same_samples_everywhere(outcomes, world) -> None:
    (alone,) = [outcome["dropped_last"] for outcome in outcomes[1]]
    per_rank = [outcome["dropped_last"] for outcome in outcomes[world]]
    assert global_batches(per_rank) == global_batches([alone])
    assert alone["backward"] == 4 * (41 // 8 * 8)
    for rank in per_rank:
        same_columns(rank["table"], alone["table"])


@pytest.mark.parametrize("world", WORLDS)
def test_fewer_samples_than_ranks_and_equal_scores_keep_exactly_k(outcomes, world) -> None:
    for name, k in (("k below world", 1), ("all equal", 16)):
        per_rank = [outcome["few_samples"][name] for outcome in outcomes[world]]
        assert {rank["backward"] for rank in per_rank} == {4 * k}
        assert len({len(rank["batches"]) for rank in per_rank}) == 1
        assert len({json.dumps(rank["plans"]) for rank in per_rank}) == 1


@pytest.mark.parametrize("world", WORLDS)
def test_a_nan_on_one_rank_is_the_same_error_or_quarantine_on_all(outcomes, world) -> None:
    errors = {outcome["not_finite"]["error"] for outcome in outcomes[world]}
    assert len(errors) == 1
    assert errors.pop().startswith("NonFiniteError: loss or memory is NaN or infinite for 1 sample(s), ids ")
    tables = [outcome["not_finite"]["quarantine"] for outcome in outcomes[world]]
    assert len({json.dumps(table, sort_keys=True) for table in tables}) == 1
    assert json.dumps(tables[0]).count("NaN") == 1


@pytest.mark.parametrize("world", WORLDS)
def test_disagreement_is_one_error_on_every_rank_that_names_the_first_difference(outcomes, world) -> None:
    for name, message in [
        ("seed", f"RankError: ranks disagree on seed: 0 on rank 0, 1 on rank {world - 1}."),
        ("policy", "RankError: ranks disagree on policy: 'emp' on rank 0, 'lfl' on rank 1."),
        ("plan", "RankError: ranks disagree on plan: "),
    ]:
        errors = {outcome["disagreement"][name] for outcome in outcomes[world]}
        assert len(errors) == 1
        assert errors.pop().startswith(message)


@pytest.mark.parametrize("world", WORLDS)
def test_the_same_id_on_two_ranks_counts_once_with_the_first_rank_s_score(outcomes, world) -> None:
    for outcome in outcomes[world]:
        found = outcome["same_id_on_two_ranks"]
        assert found["backward"] == 6
        assert found["forward"] == 6 * world
        assert found["table"]["loss"][:6] == [1.0] * 6


@pytest.mark.parametrize("world", WORLDS)
def test_ids_beyond_float32_and_int32_arrive_exactly(outcomes, world) -> None:
    expected = [str(base + rank) for base in (2**24 + 1, 2**31 + 3, 2**40 + 5) for rank in range(world)]
    assert all(outcome["large_ids"] == expected for outcome in outcomes[world])


@pytest.mark.parametrize("world", WORLDS)
def test_one_rank_may_look_without_the_others(outcomes, world) -> None:
    plans = [outcome["alone_on_rank_0"] for outcome in outcomes[world]]
    assert plans == [outcomes[1][0]["every_policy"]["emp"]["plans"]] * world


@pytest.mark.parametrize("world", WORLDS)
def test_a_state_saved_in_mid_epoch_leaves_exactly_the_rest(outcomes, world) -> None:
    for outcome in outcomes[world]:
        saved = outcome["saved_in_mid_epoch"]
        assert (
            f"the global batch is {3 * world} here (3 on each of {world} ranks), but the epoch was begun with 8."
            in (saved["error"].replace("\n", " "))
        )
    after = [outcome["saved_in_mid_epoch"]["after"] for outcome in outcomes[world]]
    steps = [[i for rank in after for i in rank[s]] for s in range(len(after[0]))]
    left = outcomes[world][0]["saved_in_mid_epoch"]["left"]
    assert [i for step in steps for i in step][: len(left)] == left


@pytest.mark.parametrize("world", WORLDS)
def test_a_run_goes_on_with_more_ranks_on_the_same_global_batches(outcomes, world) -> None:
    (alone,) = [outcome["restored_elsewhere"] for outcome in outcomes[1]]
    per_rank = [outcome["restored_elsewhere"] for outcome in outcomes[world]]
    first_epoch = [step for step in global_batches([alone]) if next(iter(step))[0] == 1]
    assert len(first_epoch) == 4
    assert global_batches(per_rank)[:3] == first_epoch[:3]
    assert global_batches(per_rank)[3] > first_epoch[3]  # padded, so that every rank has a batch
    assert {rank["backward"] for rank in per_rank} == {alone["backward"]}


@pytest.mark.parametrize("world", WORLDS)
def test_gradients_are_those_of_the_global_batch(outcomes, world) -> None:
    (alone,) = [outcome["gradients"] for outcome in outcomes[1]]
    for outcome in outcomes[world]:
        for found, expected in zip(outcome["gradients"], alone, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5)
