"""A run that goes on longer than it was meant to, or on data that have grown: exact counts before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import play, step

from emprune import EpochOrderError, IdBatches, Pruner, StateError, StaticScores
from emprune.checkpoint import restore, save
from emprune.epoch.schedule import Schedule, kept_per_epoch
from emprune.policies import REGISTRY

N, BATCH = 60, 8


def build(num_epochs: int = 4, size: int = N, policy: Any = "infobatch", **changed: Any) -> Pruner:
    settings = {"prune_rate": 0.5, "anneal": 0.25, "seed": 3, **changed}
    return Pruner(size, policy, num_epochs=num_epochs, **settings)


def trained(pruner: Pruner, epochs: int) -> Pruner:
    """Train so many epochs more."""
    for _ in range(epochs):
        for ids in IdBatches(pruner, BATCH):
            step(pruner, ids)
        pruner.end_epoch()
    return pruner


def trained_per_epoch(rows: list[tuple[int, list[int], list[float]]]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for epoch, ids, _ in rows:
        counts[epoch] = counts.get(epoch, 0) + len(ids)
    return counts


def test_a_finished_run_is_extended_twice(tmp_path: Path) -> None:
    first = trained(build(4), 4)
    assert first.kept == (30, 30, 30, 60)
    path = save(first, tmp_path / "run.state")
    with pytest.raises(EpochOrderError, match=r'load_state_dict\(state, allow=\("num_epochs",\)\)'):
        _ = first.plan
    with pytest.raises(StateError, match=r"num_epochs is 6 here, but .* saved with 4.*allow={'num_epochs'}"):
        restore(build(6), path)
    second = build(6)
    restore(second, path, allow={"num_epochs"})
    # The epoch that was annealed at the first end stays full; annealing comes again at the new one.
    assert second.kept == (30, 30, 30, 60, 60, 60)
    assert second.epoch_sizes() == second.kept
    third = build(10)
    third.load_state_dict(second.state_dict(), allow={"num_epochs"})
    assert third.kept == (30, 30, 30, 60, 30, 30, 30, 60, 60, 60)
    assert trained_per_epoch(list(play(third, BATCH))) == dict(enumerate(third.kept[4:], start=4))
    report = third.report()
    assert report.samples_backward == sum(third.kept) == 420
    assert report.realised_rate == pytest.approx(1 - 420 / 600)


def test_what_was_extended_is_saved_and_goes_on_without_being_allowed_again(tmp_path: Path) -> None:
    path = save(trained(build(4), 4), tmp_path / "run.state")
    whole, killed, again = build(8), build(8), build(8)
    for pruner in (whole, killed):
        restore(pruner, path, allow={"num_epochs"})
    assert whole.kept == (30, 30, 30, 60, 30, 30, 60, 60)
    expected, run = list(play(whole, BATCH)), play(killed, BATCH)
    done = [next(run) for _ in range(6)]
    restore(again, save(killed, path))
    assert again.kept == whole.kept
    assert done + list(play(again, BATCH)) == expected
    assert again.report().realised_rate == whole.report().realised_rate
    fresh = build(8)
    fresh.load_state_dict(build(8).state_dict())
    assert fresh.kept == (30,) * 6 + (60, 60)


def test_extended_in_mid_epoch_the_epoch_keeps_its_plan(tmp_path: Path) -> None:
    pruner, longer = trained(build(4), 3), build(8)
    step(pruner, next(iter(IdBatches(pruner, BATCH))))
    plan = pruner.plan.ids.tolist()
    restore(longer, save(pruner, tmp_path / "run.state"), allow={"num_epochs"})
    assert longer.plan.ids.tolist() == plan
    assert longer.kept == (30, 30, 30, 60, 30, 30, 60, 60)
    assert trained_per_epoch(list(play(longer, BATCH))) == {3: 60 - BATCH, 4: 30, 5: 30, 6: 60, 7: 60}


def test_a_runs_budget_is_that_of_the_extended_run(tmp_path: Path) -> None:
    first = trained(build(4, prune_rate=0.6, budget="run"), 4)
    assert sum(first.kept) == 96
    path = save(first, tmp_path / "run.state")
    longer = build(12, prune_rate=0.6, budget="run")
    restore(longer, path, allow={"num_epochs"})
    assert longer.kept[:4] == first.kept
    assert sum(longer.kept) == 288 == 0.4 * N * 12
    list(play(longer, BATCH))
    assert longer.report().realised_rate == pytest.approx(0.6)
    with pytest.raises(StateError, match=r"cannot go on with these settings: .*96 are trained already"):
        restore(build(8, prune_rate=0.6, budget="run"), path, allow={"num_epochs"})


def test_counts_of_a_schedule_that_goes_on() -> None:
    begun = Schedule((30, 50), (100, 100))
    for num_epochs, anneal, warmup, budget in ((3, 0.0, 0, "epoch"), (9, 0.3, 1, "epoch"), (9, 0.3, 3, "run")):
        kept = kept_per_epoch(
            100, num_epochs, 0.3, anneal=anneal, warmup_epochs=warmup, budget=budget, begun=begun
        )  # fmt: skip
        assert kept[:2] == (30, 50)
        assert len(kept) == num_epochs
        if budget == "run":
            assert sum(kept) == 70 * num_epochs
            assert kept[2] == 100  # warm-up that is left
        else:
            assert kept[2:] == kept_per_epoch(100, num_epochs, 0.3, anneal=anneal, warmup_epochs=warmup)[2:]
    assert kept_per_epoch(100, 4, [0.1, 0.2, 0.3, 0.4], begun=begun) == (30, 50, 70, 60)


def test_rates_per_epoch_go_on_where_the_first_are_the_same(tmp_path: Path) -> None:
    path = save(trained(build(2, prune_rate=[0.5, 0.2], anneal=0.0), 2), tmp_path / "run.state")
    longer = build(3, prune_rate=[0.5, 0.2, 0.9], anneal=0.0)
    restore(longer, path, allow={"num_epochs"})
    assert longer.kept == (30, 48, 6)
    with pytest.raises(StateError, match="prune_rate is"):
        restore(build(3, prune_rate=[0.4, 0.2, 0.9], anneal=0.0), path, allow={"num_epochs"})


@pytest.mark.parametrize("in_epoch", [False, True])
def test_a_data_set_that_has_grown(in_epoch: bool, tmp_path: Path) -> None:
    pruner, grown = trained(build(4, policy="emp"), 2), build(4, 80, "emp")
    if in_epoch:
        step(pruner, next(iter(IdBatches(pruner, BATCH))))
    path = save(pruner, tmp_path / "run.state", dataset_fingerprint="60 samples")
    restore(grown, path, dataset_fingerprint="80 samples", allow={"num_samples"})
    for name, column in pruner.table.state_dict().items():
        assert torch.equal(grown.table.state_dict()[name][:N], column)
    assert grown.table.unseen[N:].all()
    assert grown.table.times_trained[N:].sum() == 0
    assert grown.kept == ((30, 30, 30, 80) if in_epoch else (30, 30, 40, 80))
    rows = list(play(grown, BATCH))
    if not in_epoch:
        assert set(range(N, 80)) & {i for epoch, ids, _ in rows if epoch == 2 for i in ids}
    assert trained_per_epoch(rows) == {2: 30 - BATCH if in_epoch else 40, 3: 80}
    report = grown.report()
    assert report.samples_backward == sum(grown.kept)
    assert report.realised_rate == pytest.approx(1 - sum(grown.kept) / (60 * (2 + in_epoch) + 80 * (2 - in_epoch)))
    again = build(4, 80, "emp")
    restore(again, save(grown, path, dataset_fingerprint="80 samples"), dataset_fingerprint="80 samples")
    assert again.report().realised_rate == report.realised_rate


@pytest.mark.parametrize("policy", sorted(set(REGISTRY) - {"static-subset", "static-scores"}))
def test_every_policy_goes_on_longer_and_on_more_data(policy: str) -> None:
    pruner, grown = build(policy=policy, anneal=0.0), build(6, 80, policy, anneal=0.0)
    for _ in range(2):
        for ids in IdBatches(pruner, BATCH):
            step(pruner, ids)
        pruner.end_epoch()
    grown.load_state_dict(pruner.state_dict(), allow=("num_epochs", "num_samples"))
    for name, value in grown.policy.columns.items():
        assert set(grown.table.extra[name][N:].tolist()) == {value}
    list(play(grown, BATCH))
    assert grown.epoch == 6
    if grown.policy.epoch_size(80, 40) in (40, 80):
        assert grown.report().samples_backward == 2 * 30 + 4 * 40 or policy == "full"


def test_fixed_scores_grow_by_name_too() -> None:
    pruner = trained(build(policy=StaticScores(np.arange(60.0))), 1)
    grown = build(size=80, policy=StaticScores(np.arange(80.0)))
    with pytest.raises(StateError, match="policy_settings is"):
        grown.load_state_dict(pruner.state_dict(), allow={"num_samples"})
    grown.load_state_dict(pruner.state_dict(), allow={"num_samples", "policy_settings"})
    assert set(grown.plan.ids.tolist()) == set(range(40, 80))


def test_states_that_hold_no_schedule_yet(tmp_path: Path) -> None:
    """Those of earlier versions: what the past epochs kept follows from the settings."""
    pruner = trained(build(4), 4)
    state = {name: value for name, value in pruner.state_dict().items() if name != "schedule"}
    same, longer = build(4), build(6)
    same.load_state_dict(state)
    longer.load_state_dict(state, allow=("num_epochs",))
    assert same.kept == (30, 30, 30, 60)
    assert longer.kept == (30, 30, 30, 60, 60, 60)
    json.dumps(longer.state_dict()["schedule"])


def test_the_learning_rate_of_an_epoch_is_by_the_data_that_it_had() -> None:
    pruner, grown = build(4, policy="kakurenbo"), build(4, 80, "kakurenbo")
    for ids in list(IdBatches(pruner, BATCH))[:2]:
        step(pruner, ids)
    before = pruner.learning_rate_factor
    grown.load_state_dict(pruner.state_dict(), allow=("num_samples",))
    assert grown.learning_rate_factor == before
