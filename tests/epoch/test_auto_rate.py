"""A rate that follows the scores: the law for each epoch, a target met to the sample, and what must be known for it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of, play, step, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from emprune import ArgumentError, AutoRate, IdBatches, Policy, PrunedLoader, Pruner, Request, Selection, StateError
from emprune.epoch.auto_rate import forecast, informative, share_of
from emprune.policies import REGISTRY

N, EPOCHS, BATCH = 200, 6, 16


def build(policy: Any = "emp", rate: Any = "auto", **options: Any) -> Pruner:
    return Pruner(N, policy, prune_rate=rate, num_epochs=EPOCHS, seed=3, **options)


def skewed(ids: torch.Tensor, epoch: int) -> torch.Tensor:
    """Losses that fall, and fewer and fewer of which are left."""
    return loss_of(ids) ** (2 + epoch)


def steps(pruner: Pruner, losses: Any = skewed) -> Iterator[tuple[int, list[int]]]:
    """Train what is left; the epoch and the ids of each step."""
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, BATCH):
            known = {name: value for name, value in (("memory", memory_of(ids)),) if name in pruner.policy.inputs}
            pruner.loss(ids, losses(ids, epoch), **known)
            yield epoch, ids.tolist()


def sizes(rows: list[tuple[int, list[int]]]) -> list[int]:
    """How many samples each epoch trained, without those that trained none."""
    return [sum(len(ids) for _, ids in group) for _, group in itertools.groupby(rows, lambda row: row[0])]


def trained(pruner: Pruner, losses: Any = skewed) -> list[int]:
    """Train what is left; how many samples each epoch trained."""
    return sizes(list(steps(pruner, losses)))


def effective(scores: list[float]) -> float:
    """(Σs)²/Σs², term by term."""
    total = square = 0.0
    for score in scores:
        total, square = total + score, square + score * score
    return total * total / square


@pytest.mark.parametrize("policy", ["emp", "lfl", "emp-gated", "infobatch"])
def test_an_epoch_keeps_the_rounded_effective_sample_size_of_loss_plus_memory(policy: str) -> None:
    pruner, seen, kept = build(policy, AutoRate(lowest=0.0, highest=0.99)), {}, []
    for epoch in pruner.epochs():
        ids = torch.from_numpy(pruner.plan.ids.copy())
        kept.append(len(ids))
        if epoch:
            scores = list(seen.values())
            assert len(ids) == math.floor(effective(scores) * N / len(scores) + 0.5)
        with_memory = "memory" in pruner.policy.inputs
        loss, memory = skewed(ids, epoch), memory_of(ids, epoch) if with_memory else None
        pruner.loss(ids, loss, memory)
        score = loss + memory if with_memory else loss
        seen |= dict(zip(ids.tolist(), score.double().tolist(), strict=True))
    assert kept[0] == N
    assert len(set(kept)) > 3
    assert min(kept[1:]) < N // 2
    assert pruner.kept == tuple(kept)


def test_bounds_hold_and_where_nothing_is_known_the_most_is_kept() -> None:
    def one_matters(ids: torch.Tensor, epoch: int) -> torch.Tensor:
        return torch.where(ids == 7, 100.0, 1e-4)

    assert trained(build("lfl", AutoRate(0.25, 0.9)), one_matters) == [150, 20, 20, 20, 20, 20]
    assert trained(build("lfl", AutoRate(0.25, 0.9)), lambda ids, _: torch.ones(len(ids))) == [150] * 6
    assert trained(build("lfl"), lambda ids, _: torch.zeros(len(ids))) == [180, 10, 10, 10, 10, 10]
    assert trained(build("lfl", AutoRate(0.5, 0.5))) == [100] * 6


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-5, 5, width=32) | st.sampled_from([np.inf, np.nan, 0.0]), min_size=1, max_size=30))
def test_the_effective_part_is_that_of_the_seen_finite_scores_above_the_lowest(losses: list[float]) -> None:
    """+inf stands for never seen, NaN for quarantined."""
    found = informative(table_of(np.array(losses)))
    scores = [loss for loss in losses if math.isfinite(loss)]
    if not scores:
        assert math.isnan(found)
        return
    low = min(0.0, *scores)
    above = [score - low for score in scores]
    if max(above) < 1e-30:  # whose squares vanish
        return
    assert found == pytest.approx(effective(above) / len(above), rel=1e-5)
    assert 0 < found <= 1


def test_huge_scores_do_not_overflow() -> None:
    assert informative(table_of(np.full(5, 3e38), np.full(5, 3e38))) == pytest.approx(1)


def test_the_default_policy_has_samples_to_measure_its_gap_on() -> None:
    """Its own reserve is left alone by an epoch that prunes as little as may be."""
    pruner = Pruner(N, prune_rate="auto", num_epochs=EPOCHS, seed=3)
    trained(pruner)
    gaps = pruner.table.history("gap")
    assert np.isfinite(gaps[2:]).all()
    assert pruner.report().decided["informative"] == pruner.table.history("informative")[-1]


def test_quarantined_samples_count_for_nothing() -> None:
    pruner = build("lfl", AutoRate(0.0, 0.99), on_nonfinite="quarantine")
    ids = torch.arange(N)
    pruner.loss(ids, torch.where(ids < 50, torch.nan, 1.0))
    pruner.end_epoch()
    assert len(pruner.plan) == 150


def test_full_epochs_at_the_start_and_the_end_stay_full() -> None:
    pruner = build("emp", warmup_epochs=1, anneal=1 / 6)
    assert pruner.kept == (N, 180, 180, 180, 180, N)  # the most it may be
    counts = trained(pruner)
    assert counts[0] == counts[-1] == N
    assert all(10 <= count < N for count in counts[1:-1])
    assert pruner.kept == tuple(counts)


@pytest.mark.parametrize("policy", ["emp", "lfl", "selective-backprop", "emp-gated"])
@pytest.mark.parametrize(
    ("target", "options"), [(0.7, {}), (0.5, {"anneal": 1 / 6}), (0.35, {"warmup_epochs": 1, "anneal": 0.3}), (0.9, {})]
)
def test_a_target_is_met_to_the_sample(policy: str, target: float, options: dict[str, Any]) -> None:
    pruner = build(policy, AutoRate(0.05, 0.97, target), **options)
    total = round((1 - target) * N * EPOCHS)
    assert sum(pruner.kept) == total
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, BATCH):
            step(pruner, ids)
        assert sum(pruner.kept) == total
        assert len(pruner.plan) == (N if pruner.selects_in_batch else pruner.kept[epoch])
    report = pruner.report()
    assert report.samples_backward == sum(pruner.kept) == total
    assert report.realised_rate == pytest.approx(target)
    assert all(6 <= count <= 190 or count == N for count in pruner.kept)


def test_with_a_target_epochs_share_it_in_proportion_to_what_is_informative() -> None:
    """Effective parts that fall by a power law are foreseen, so that shares are in proportion to them from there on."""
    fractions, kept = np.array([np.nan, *(0.8 * np.arange(1, 12) ** -0.5)]), []
    total, left = 6000, 6000
    for epoch in range(12):
        kept.append(share_of(fractions[: epoch + 1], left, 12 - epoch, 1, 10_000))
        left -= kept[-1]
    assert left == 0
    assert kept[:2] == [500, 500]  # nothing to go by yet
    whole = sum(kept[2:])
    for epoch in range(2, 12):
        assert kept[epoch] == pytest.approx(whole * fractions[epoch] / fractions[2:].sum(), abs=2)
    assert sum(kept) == total


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_the_scores_the_budget_is_met_within_the_bounds(data: st.DataObject) -> None:
    epochs = data.draw(st.integers(1, 12))
    least = data.draw(st.integers(1, 50))
    most = data.draw(st.integers(least, 200))
    left = data.draw(st.integers(least * epochs, most * epochs))
    parts = st.floats(0, 1) | st.just(np.nan)
    fractions = np.array(data.draw(st.lists(parts, min_size=epochs, max_size=epochs)))
    for epoch in range(epochs):
        kept = share_of(fractions[: epoch + 1], left, epochs - epoch, least, most)
        assert least <= kept <= most
        left -= kept
    assert left == 0


def test_the_forecast_follows_the_power_law_and_does_not_rise() -> None:
    known = np.array([np.nan, *(0.6 * np.arange(1, 6) ** -0.3)])
    np.testing.assert_allclose(forecast(known, 4), 0.6 * np.arange(5, 9) ** -0.3)
    np.testing.assert_allclose(forecast(np.array([np.nan, 0.3, 0.6]), 3), [0.6, 0.18**0.5, 0.18**0.5])
    assert forecast(np.array([np.nan]), 2).tolist() == [1, 1]
    assert forecast(np.array([np.nan, 0.3]), 2).tolist() == [0.3, 0.3]
    assert forecast(np.array([np.nan, 0.5, 0.4, 0.0]), 2)[0] == 0


def test_an_epoch_that_knows_more_than_was_expected_takes_more_of_the_target() -> None:
    known = np.array([np.nan, *(0.6 * np.arange(1, 6) ** -0.3)])
    as_expected = share_of(known, 1000, 5, 1, 1000)
    known[-1] *= 1.3
    assert share_of(known, 1000, 5, 1, 1000) > 1.05 * as_expected


def test_what_is_not_known_beforehand_is_said() -> None:
    pruner = build()
    for asked in (lambda: pruner.total_steps(BATCH), pruner.epoch_sizes):
        with pytest.raises(
            ArgumentError, match=r"prune_rate is AutoRate\(.*\); allowed: a number.*pruner\.progress\(\)"
        ):
            asked()
    assert repr(pruner) == "Pruner(emp, epoch 0 of 6, keeps a part of 200 that follows from the scores)"
    assert "emprune/kept" not in pruner.metrics()
    assert len(pruner.plan) == pruner.metrics()["emprune/kept"] == 180
    assert repr(pruner) == "Pruner(emp, rate 0.1, epoch 0 of 6, keeps 180 of 200)"
    counts = trained(pruner)
    assert pruner.epoch_sizes() == tuple(counts)
    assert pruner.total_steps(BATCH) == pruner.report().steps


def test_the_epoch_s_rate_and_what_it_follows_are_metrics() -> None:
    pruner = build(rate=AutoRate(0.0, 0.99))
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, BATCH):
            step(pruner, ids)
        numbers = pruner.metrics()
        assert numbers["emprune/prune_rate"] == 1 - len(pruner.plan) / N
        if epoch:
            assert round(numbers["emprune/informative"] * N) == len(pruner.plan)
        else:
            assert "emprune/informative" not in numbers
    assert pruner.report().realised_rate == 1 - sum(pruner.kept) / (N * EPOCHS)


@pytest.mark.parametrize(("rate", "of_samples"), [("auto", False), (AutoRate(target=0.6), True), (0.6, True)])
def test_progress_is_the_position_in_the_run(rate: Any, of_samples: bool) -> None:
    pruner, last = build(rate=rate), 0.0
    assert pruner.progress() == 0
    done = 0
    for epoch in pruner.epochs():
        in_epoch = 0
        for ids in IdBatches(pruner, BATCH):
            step(pruner, ids)
            done, in_epoch = done + len(ids), in_epoch + len(ids)
            by_epochs = (epoch + in_epoch / len(pruner.plan)) / EPOCHS
            expected = done / sum(pruner.kept) if of_samples else by_epochs
            assert pruner.progress() == pytest.approx(expected) == pytest.approx(pruner.progress(in_epoch))
            assert last < pruner.progress() <= 1
            last = pruner.progress()
    assert pruner.progress() == 1 == pytest.approx(last)


def test_policies_that_choose_inside_a_batch_know_their_steps() -> None:
    pruner = build("selective-backprop")
    assert pruner.total_steps(BATCH) == EPOCHS * math.ceil(N / BATCH)
    list(play(pruner, BATCH))
    report = pruner.report()
    assert report.samples_backward == sum(pruner.kept) < N * EPOCHS
    assert report.steps == EPOCHS * math.ceil(N / BATCH)


@pytest.mark.parametrize("name", sorted(name for name in REGISTRY if not name.startswith("static-s")))
def test_every_policy_follows_or_says_why_it_cannot(name: str) -> None:
    without_scores = {"full", "random", "rs2", "static-random"}
    own_rule = {"infobatch-published", "kakurenbo", "seta-published"}
    if name in without_scores | own_rule:
        expected = "looks at scores" if name in without_scores else "keeps as many samples as it is asked for"
        with pytest.raises(ArgumentError, match=rf"policy is '{name}'; allowed: one that {expected}.*prune_rate"):
            build(name)
        return
    pruner = build(name)
    list(play(pruner, BATCH))
    assert pruner.report().samples_backward == sum(pruner.kept)
    assert len(set(pruner.kept)) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 1.0}, r"lowest is 1.0; allowed: a number in \[0, 1\)"),
        ({"highest": "0.9"}, r"highest is '0.9'; allowed: a number in \[0, 1\)"),
        ({"target": -0.1}, r"target is -0.1; allowed: a number in \[0, 1\)"),
        ({"lowest": 0.6, "highest": 0.5}, "lowest is 0.6; allowed: at most 0.5, the highest rate of an epoch"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        AutoRate(**options)


@pytest.mark.parametrize(
    ("rate", "options", "message"),
    [
        (
            "automatic",
            {},
            r"prune_rate is 'automatic'; allowed: a number in \[0, 1\), one rate per epoch, \"auto\" or an",
        ),
        ("auto", {"budget": "run"}, r"budget is 'run'; allowed: 'epoch' with .*AutoRate\(target=0.7\)"),
        (AutoRate(target=0.99), {}, "target is 0.99; .* from 0.1 to 0.95. .* leave 12 for 6 of 10 to 180"),
        (AutoRate(target=0.05), {}, "target is 0.05; .* leave 1140 for 6 of 10 to 180"),
        (AutoRate(target=0.7), {"anneal": 0.4}, "target is 0.7; .* 2 full epochs of 200 leave -40 for 4"),
    ],
)
def test_a_run_that_cannot_be_is_refused(rate: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build(rate=rate, **options)


def test_a_history_of_the_pruner_s_name_is_refused() -> None:
    class Noting(Policy):
        history = {"informative": 0.0}

        def select(self, request: Request) -> Selection:
            return request.uniform()

    with pytest.raises(ArgumentError, match="history is 'informative'; allowed: another name"):
        build(Noting())


def test_drop_last_is_checked_against_the_fewest_that_an_epoch_may_keep() -> None:
    PrunedLoader(range(N), build(), batch_size=10, drop_last=True)
    with pytest.raises(ArgumentError, match="batch_size is 11; allowed: with drop_last at most 10"):
        PrunedLoader(range(N), build(), batch_size=11, drop_last=True)


# ---- state


@pytest.mark.parametrize("rate", ["auto", AutoRate(target=0.7)])
def test_a_run_restored_anywhere_keeps_what_the_whole_one_did(rate: Any) -> None:
    whole = list(steps(build(rate=rate)))
    pruner = build(rate=rate)
    run, rows = steps(pruner), []
    for number in range(len(whole)):
        rows.append(next(run))
        if number % 5 == 3:
            state, pruner = pruner.state_dict(), build(rate=rate)
            pruner.load_state_dict(state)
            run = steps(pruner)
    assert rows == whole
    assert pruner.kept == tuple(sizes(whole))
    assert len(set(pruner.kept)) > 3


def test_a_state_of_another_rate_is_refused_and_may_be_allowed() -> None:
    fixed, run = build(rate=0.5), []
    for row in itertools.islice(steps(fixed), 10):
        run.append(row)
    follows = build()
    with pytest.raises(StateError, match=r"prune_rate is {'auto': {'lowest': 0.1, .*}} here, .* saved with 0.5"):
        follows.load_state_dict(fixed.state_dict())
    follows.load_state_dict(fixed.state_dict(), allow={"prune_rate"})
    counts = trained(follows)
    assert follows.kept[:2] == (100, 100)  # the epochs that had begun
    assert sum(counts) == sum(follows.kept) - 10 * BATCH + (7 * BATCH - 100)
    back = build(rate=0.5)
    with pytest.raises(StateError, match=r"prune_rate is 0.5 here, .* saved with {'auto'"):
        back.load_state_dict(build().state_dict())
    back.load_state_dict(build().state_dict(), allow={"prune_rate"})
    assert back.kept == (100,) * 6
    with pytest.raises(StateError, match="prune_rate"):
        build(rate=AutoRate(target=0.7)).load_state_dict(build().state_dict())


@pytest.mark.parametrize("rate", ["auto", AutoRate(target=0.7)])
def test_a_run_may_be_extended_and_meets_its_target_as_a_whole(rate: Any) -> None:
    short = build(rate=rate)
    list(steps(short))
    longer = Pruner(N, "emp", prune_rate=rate, num_epochs=10, seed=3)
    longer.load_state_dict(short.state_dict(), allow={"num_epochs"})
    assert longer.kept[:EPOCHS] == short.kept
    before = short.table.history("informative")
    np.testing.assert_array_equal(longer.table.history("informative")[:EPOCHS], before)
    list(steps(longer))
    assert longer.report().samples_backward == sum(longer.kept)
    if rate != "auto":
        assert sum(longer.kept) == 0.3 * N * 10
    with pytest.raises(StateError, match="num_epochs is 10 here"):
        Pruner(N, "emp", prune_rate=rate, num_epochs=10, seed=3).load_state_dict(short.state_dict())


def test_a_data_set_that_has_grown_goes_on() -> None:
    first = build(rate=AutoRate(target=0.7))
    for _ in itertools.islice(steps(first), 12):
        pass
    grown = Pruner(300, "emp", prune_rate=AutoRate(target=0.7), num_epochs=EPOCHS, seed=3)
    grown.load_state_dict(first.state_dict(), allow={"num_samples"})
    begun = first.epoch + 1
    list(steps(grown))
    assert sum(grown.kept) == round(0.3 * (200 * begun + 300 * (EPOCHS - begun)))
