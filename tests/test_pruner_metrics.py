"""Numbers of a run for loggers, against counts by hand."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import numpy as np
import pytest
from cases import HUGE, loss_of, play, step, table_of
from thread_world import on_all_ranks

from emprune import IdBatches, Pruner, metrics
from emprune.metrics import summary

RUN = {"prune_rate": 0.6, "num_epochs": 3, "anneal": 0.34, "seed": 1}


def played(policy: str = "emp", steps: int | None = None, **options: Any) -> Pruner:
    pruner = Pruner(20, policy, **{**RUN, **options})
    for number, _ in enumerate(play(pruner, 4), start=1):
        if number == steps:
            break
    return pruner


def test_the_numbers_of_an_epoch_are_those_counted_by_hand() -> None:
    pruner, trained = Pruner(20, "emp", **RUN), []
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, 4):
            step(pruner, ids)
            trained += ids.tolist()
        found = pruner.metrics()
        seen = np.array(sorted(set(trained)))
        assert found["emprune/epoch"] == epoch
        assert found["emprune/kept"] == (20 if epoch == 2 else 8)
        assert found["emprune/prune_rate"] == pytest.approx(0 if epoch == 2 else 0.6)
        assert found["emprune/samples_backward"] == found["emprune/samples_forward"] == len(trained)
        assert found["emprune/realised_rate"] == pytest.approx(1 - len(trained) / (20 * (epoch + 1)))
        assert found["emprune/steps"] == -(-len(trained) // 4)
        assert found["emprune/seen_fraction"] == len(seen) / 20
        assert found["emprune/never_trained"] == 20 - len(seen)
        assert found["emprune/mean_times_trained"] == len(trained) / 20
        assert found["emprune/quarantined"] == 0
        for name in ("loss", "memory"):
            scores = getattr(pruner.table, name)[seen].astype(float)
            assert found[f"emprune/{name}_q50"] == pytest.approx(median(scores))
            assert found[f"emprune/{name}_q10"] <= found[f"emprune/{name}_q50"] <= found[f"emprune/{name}_q90"]
            assert found[f"emprune/{name}_ess"] == pytest.approx(sum(scores) ** 2 / len(seen) / sum(scores**2))
        assert found["emprune/seconds_selecting"] == pruner.report().seconds_selecting
        assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(("policy", "kept"), [("full", 20), ("selective-backprop", 8), ("infobatch-published", None)])
def test_what_an_epoch_keeps_is_what_its_policy_trains(policy: str, kept: int | None) -> None:
    found = played(policy, steps=5).metrics()
    rate = None if kept is None else pytest.approx(1 - kept / 20)
    assert (found.get("emprune/kept"), found.get("emprune/prune_rate")) == (kept, rate)


def test_the_rate_of_an_epoch_before_the_data_grew_is_of_the_data_it_had() -> None:
    pruner, larger = played(steps=2), Pruner(30, "emp", **RUN)
    larger.load_state_dict(pruner.state_dict(), allow={"num_samples"})
    assert larger.metrics()["emprune/prune_rate"] == pruner.metrics()["emprune/prune_rate"] == pytest.approx(0.6)


def test_before_and_after_the_end_of_an_epoch_they_are_the_same() -> None:
    pruner = played(steps=2)
    inside = pruner.metrics()
    pruner.end_epoch()
    assert pruner.metrics() == inside
    assert inside["emprune/epoch"] == 0


def test_a_run_that_is_over_has_its_last_epoch_and_a_new_one_no_scores() -> None:
    assert played().metrics()["emprune/epoch"] == 2
    new = Pruner(20, "emp", **RUN).metrics()
    assert new["emprune/epoch"] == new["emprune/seen_fraction"] == new["emprune/realised_rate"] == 0
    assert not [name for name in new if name.startswith(("emprune/loss", "emprune/memory"))]


def test_they_change_nothing() -> None:
    pruner, watched = Pruner(20, "emp", **RUN), Pruner(20, "emp", **RUN)
    expected = list(play(pruner, 4))
    found = []
    for row in play(watched, 4):
        watched.metrics()
        found.append(row)
    assert found == expected


@pytest.mark.filterwarnings("ignore:no memory term")
def test_without_a_memory_term_its_numbers_are_left_out() -> None:
    pruner = Pruner(20, "emp", **RUN)
    for ids in IdBatches(pruner, 4):
        pruner.loss(ids, loss_of(ids))
    found = pruner.metrics()
    assert "emprune/loss_q50" in found
    assert not [name for name in found if "memory" in name]


def test_samples_without_a_finite_score_are_not_among_the_quantiles() -> None:
    loss = np.array([np.inf, np.nan, 1, 1, 1, 4])
    report = Pruner(6, "random", prune_rate=0.5, num_epochs=1).report()
    found = metrics.metrics_of(report, table_of(loss, memory=np.array([9, 9, 2, 2, 2, 2.0])), epoch=0, kept=3, of=6)
    assert (found["emprune/loss_q50"], found["emprune/memory_q90"]) == (1, 2)
    assert found["emprune/loss_ess"] == pytest.approx(7**2 / (4 * 19))
    assert found["emprune/seen_fraction"] == pytest.approx(5 / 6)


def test_a_large_table_is_summed_up_by_evenly_spaced_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = metrics.metrics_of(played().report(), table_of(np.arange(1000.0)), epoch=0, kept=3, of=6)
    monkeypatch.setattr(metrics, "_MOST", 100)
    part = metrics.metrics_of(played().report(), table_of(np.arange(1000.0)), epoch=0, kept=3, of=6)
    for name in ("loss_q10", "loss_q50", "loss_q90"):
        assert part[f"emprune/{name}"] == pytest.approx(whole[f"emprune/{name}"], abs=15)
        assert part[f"emprune/{name}"] != whole[f"emprune/{name}"]


def test_unusual_scores_have_numbers_or_none() -> None:
    assert summary(np.zeros(0, dtype=np.float32)) == {}
    assert summary(np.full(3, np.nan, dtype=np.float32)) == {}
    assert "ess" not in summary(np.zeros(3, dtype=np.float32))
    assert summary(np.array([-1, -1, 2, 2], dtype=np.float32))["ess"] == 0.5
    assert summary(np.full(4, HUGE, dtype=np.float32))["ess"] == pytest.approx(1)


def test_ranks_have_the_same_numbers_and_one_may_ask_alone() -> None:
    def run(world: Any) -> dict[str, float]:
        pruner = Pruner(20, "emp", **RUN, world=world)
        for _ in range(2):
            for ids in IdBatches(pruner, 2):
                step(pruner, ids)
            pruner.end_epoch()
            if world.rank == 1:
                pruner.metrics()
        return pruner.metrics()

    first, second = (
        {name: value for name, value in found.items() if "seconds" not in name and "steps" not in name}
        for found in on_all_ranks(run, 2)
    )
    alone = played(steps=4)
    alone.end_epoch()
    assert first == second
    assert first.items() <= alone.metrics().items()


def test_in_mid_epoch_ranks_count_what_they_have_exchanged() -> None:
    """Or else the running epoch would count as one that trained nothing."""

    def run(world: Any) -> list[tuple[float, float]]:
        pruner, found = Pruner(20, "emp", prune_rate=0.6, num_epochs=3, world=world), []
        for _ in pruner.epochs():
            for ids in IdBatches(pruner, 2):
                step(pruner, ids)
            numbers = pruner.metrics()
            found.append((numbers["emprune/epoch"], numbers["emprune/realised_rate"]))
        return found

    rate = pytest.approx(0.6)
    assert on_all_ranks(run, 2) == [[(0, 0), (0, rate), (1, rate)]] * 2
