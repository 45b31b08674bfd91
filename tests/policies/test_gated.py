"""EMP gated by the generalisation gap: what it measures on losses that are known, and what follows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from emprune import ArgumentError, IdBatches, Pruner
from emprune.policies import GatedEMP
from emprune.policies.generalisation import LEAST, gap_now
from emprune.policies.reliability import reliability
from emprune.seeding import generator

N, EPOCHS = 4000, 20


def difficulty(ids: torch.Tensor) -> torch.Tensor:
    """A known loss of a sample before it is trained, very unlike from sample to sample; 1 on average."""
    places = (ids * 2_654_435_761 % N).double() / N
    return (-torch.log1p(-places * 0.9999)).float() + 0.01


def train(pruner: Pruner, gap: float, epochs: int = EPOCHS) -> Pruner:
    """Epochs in which a sample's loss is its difficulty at first, and a known part of it from then on."""
    seen = torch.from_numpy(pruner.table.times_trained.copy() > 0)
    while pruner.epoch < epochs:
        for ids in IdBatches(pruner, 100):
            loss = difficulty(ids) * torch.where(seen[ids], 1 - gap, 1.0)
            pruner.loss(ids, loss.requires_grad_(), memory=difficulty(ids) / 3)
            seen[ids] = True
        pruner.end_epoch()
    return pruner


def gated(**options: float) -> Pruner:
    """Three tenths are drawn uniformly: of a tenth of so few samples, so unlike each other, the gap's error is wide."""
    return Pruner(N, GatedEMP(floor=0.3, **options), prune_rate=0.8, num_epochs=EPOCHS, seed=3)


@pytest.mark.parametrize("gap", [-0.3, 0.0, 0.15, 0.6])
def test_the_gap_is_found_whatever_the_sharpness_it_was_planned_by(gap: float) -> None:
    errors = []
    for slope in (0, 3):  # always as sharp as can be, and as the gap has it
        pruner = train(gated(slope=slope), gap)
        for epoch in (6, 10, EPOCHS):
            found = pruner.policy.known(pruner.table, epoch, EPOCHS).gap  # type: ignore[attr-defined]
            errors.append(abs(found.value - gap) / found.error)
            assert epoch > 6 or found.error < 0.2
    assert max(errors) < 3


def test_without_a_gap_it_is_sharp_and_with_a_wide_one_uniform() -> None:
    sharp, closed = train(gated(), 0.0), train(gated(), 0.6)
    assert sharp.table.history("gamma")[3:].min() > 0.8
    assert closed.table.history("gamma")[3:].max() == 0
    hard = difficulty(torch.arange(N)).numpy() > 2
    assert sharp.table.times_trained[hard].mean() > 1.5 * sharp.table.times_trained.mean()
    assert closed.table.times_trained[hard].mean() == pytest.approx(closed.table.times_trained.mean(), rel=0.1)


def test_a_part_is_kept_back_and_trained_a_few_an_epoch() -> None:
    pruner = Pruner(N, GatedEMP(reserve=0.05), prune_rate=0.3, num_epochs=EPOCHS, seed=3)
    unseen = [N]
    for epoch in range(1, EPOCHS + 1):
        train(pruner, 0.2, epoch)
        unseen.append(int(pruner.table.unseen.sum()))
    # 200 samples, a fourteenth of them in each of the first 14 epochs; the others are all trained long before.
    assert unseen[10] == pytest.approx(200 * 4 / 14, abs=1)
    assert unseen[13] == pytest.approx(200 / 14, abs=1)
    assert unseen[14] == 0
    assert np.isfinite(pruner.table.history("gap")[2:]).all()


def test_a_run_that_begins_with_a_full_epoch_knows_nothing_and_is_uniform() -> None:
    pruner = Pruner(N, GatedEMP(), prune_rate=0.8, num_epochs=4, warmup_epochs=1)
    train(pruner, 0.0, 4)
    assert np.isnan(pruner.table.history("gap")).all()
    assert pruner.table.history("gamma")[1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("rate", "is_random"), [(0.83, True), (0.79, False)])
def test_with_fewer_than_two_turns_a_sample_it_is_dynamic_random_to_the_sample(rate: float, is_random: bool) -> None:
    pruner, random = (Pruner(N, policy, prune_rate=rate, num_epochs=10, seed=5) for policy in ("emp-gated", "random"))
    same = []
    for epoch in range(1, 11):
        same.append(bool((pruner.plan.ids == random.plan.ids).all()))
        for run in (pruner, random):
            train(run, 0.0, epoch)
    assert set(same) == {is_random}
    assert (np.nanmax(pruner.table.history("gamma")) == 0) == is_random
    assert np.isfinite(pruner.table.history("gap")[2:]).all()


def test_losses_that_are_not_positive_on_average_are_ranked_uniformly() -> None:
    pruner = Pruner(100, GatedEMP(), prune_rate=0.5, num_epochs=6)
    while pruner.epoch < 6:
        for ids in IdBatches(pruner, 10):
            pruner.loss(ids, -difficulty(ids).requires_grad_(), memory=difficulty(ids))
        pruner.end_epoch()
    assert np.nanmax(pruner.table.history("gamma")) == 0


@pytest.mark.parametrize(
    ("num_samples", "rate"), [(1, 0), (2, 0.5), (19, 0), (19, 0.9), (400, 0.5), (400, 0.95), (1137, 0.97)]
)
@pytest.mark.parametrize("num_epochs", [2, 9])
def test_every_plan_has_exactly_k(num_samples: int, rate: float, num_epochs: int) -> None:
    pruner = Pruner(num_samples, GatedEMP(), prune_rate=rate, num_epochs=num_epochs)
    while pruner.epoch < num_epochs:
        assert len(pruner.plan) == pruner.kept[pruner.epoch]
        for ids in IdBatches(pruner, 8):
            pruner.loss(ids, torch.rand(len(ids), requires_grad=True), memory=torch.rand(len(ids)))
        pruner.end_epoch()


@pytest.mark.parametrize("steps", [0, 3])
def test_a_restored_run_goes_on_as_if_it_had_not_stopped(steps: int) -> None:
    whole, begun = train(gated(), 0.1), train(gated(), 0.1, 7)
    if steps:  # in mid-epoch
        for ids, _ in zip(IdBatches(begun, 100), range(steps), strict=False):
            loss = difficulty(ids) * torch.where(torch.from_numpy(begun.table.times_trained > 0)[ids], 0.9, 1.0)
            begun.loss(ids, loss.requires_grad_(), memory=difficulty(ids) / 3)
    restored = gated()
    restored.load_state_dict(copy.deepcopy(begun.state_dict()))
    train(restored, 0.1)
    for name in GatedEMP.history:
        np.testing.assert_allclose(restored.table.history(name), whole.table.history(name), rtol=1e-6)
    assert (restored.table.times_trained == whole.table.times_trained).all()


def shown(epochs: list[tuple[int, float, int, float]]) -> dict[str, np.ndarray]:
    """What epochs have counted: first visits, their mean loss, samples trained again, and theirs; variances are 1."""
    seen = {LEAST: np.zeros(len(epochs))}
    for place, name in enumerate(("first", "again")):
        count, value = (np.array([epoch[2 * place + part] for epoch in epochs], dtype=float) for part in (0, 1))
        seen |= {name: count, f"{name}_loss": count * value, f"{name}_loss_squared": count * (value**2 + 1) - 1.0}
    return seen


def test_the_error_grows_while_nothing_new_is_learnt() -> None:
    seen = [(0, 0.0, 0, 0.0), (50, 1.0, 20, 0.9)]
    now, later = (gap_now(shown(seen + more), np.ones(2 + len(more)), 0.01) for more in ([], [(0, 0.0, 0, 0.0)] * 8))
    assert (now.value, later.value) == pytest.approx((0.1, 0.1))
    assert later.error**2 - now.error**2 == pytest.approx(8 * 0.01)


@pytest.mark.parametrize("again", [45, 5000])
def test_an_epoch_in_which_nearly_all_was_new_does_not_hide_what_a_few_show_later(again: int) -> None:
    seen = shown([(40_000, 1.0, again, 1.0)] * 2 + [(5, 1.0, 1500, 0.4)] * 58)
    found = gap_now(seen, 0.5 ** (np.arange(60, 0, -1) / 10), 0.1**2 / 10)
    assert found.value == pytest.approx(0.6, abs=0.03)
    assert found.error < 0.15


@pytest.mark.parametrize("drift", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("spread", [0.0, 1e-6, 1.0])
def test_a_gap_is_known_whatever_losses_scatter(drift: float, spread: float) -> None:
    pruner = Pruner(400, GatedEMP(drift=drift), prune_rate=0.5, num_epochs=12)
    for _ in pruner.epochs():
        ids = torch.from_numpy(pruner.plan.ids.copy())
        loss = torch.where(ids < 20, 0.0, 1 + spread * torch.rand(len(ids)))
        pruner.loss(ids, loss, loss / 3)
    assert np.isfinite(pruner.table.history("gap")[2:]).all()
    assert np.isfinite(pruner.table.history("gamma")).all()


@pytest.mark.parametrize("least", [0.0, 0.78, 20.0])
def test_a_constant_in_all_losses_leaves_the_gap_as_it_is(least: float) -> None:
    """As label smoothing adds one: no loss is below it, however well a sample is fitted."""
    pruner = Pruner(N, GatedEMP(floor=0.3, slope=0), prune_rate=0.5, num_epochs=EPOCHS, seed=3)
    trained = np.zeros(N, dtype=bool)
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, 100):
            loss = difficulty(ids) * torch.where(torch.from_numpy(trained[ids]), 0.7, 1.0) + least
            loss[ids == 1] = 0.0  # one that has nothing to learn
            pruner.loss(ids, loss.requires_grad_(), memory=difficulty(ids) / 3)
            trained[ids] = True
    found = pruner.table.history("gap")[4:], pruner.table.history("gap_error")[4:]
    assert (np.abs(found[0] - 0.3) < 3 * found[1]).all()
    assert found[1][:8].max() < 0.2


@pytest.mark.parametrize(
    ("name", "value"),
    [("floor", 2), ("slope", -1), ("gamma", np.inf), ("doubt", -1), ("reserve", 0), ("half_life", 2), ("drift", 2)],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ArgumentError, match=name):
        GatedEMP(**{name: value})


def test_what_was_seen_and_decided_is_among_the_metrics() -> None:
    pruner = train(gated(), 0.6, 1)
    assert pruner.metrics()["emprune/gamma"] == 0
    assert "emprune/gap" not in pruner.metrics()
    train(pruner, 0.6, 5)
    assert pruner.metrics()["emprune/gap"] == pytest.approx(0.6, abs=0.15)


def test_samples_that_are_observed_as_well_do_not_hide_what_training_showed() -> None:
    def history(*, looked_at: bool, observed: bool) -> dict[str, list[float]]:
        pruner = gated()
        for _ in range(4):
            for ids in IdBatches(pruner, 100):
                pruner.loss(ids, difficulty(ids), memory=difficulty(ids) / 3)
            trained = torch.from_numpy(pruner.plan.ids.copy())
            if looked_at:
                pruner.report()
            if observed:
                pruner.observe(trained, difficulty(trained), difficulty(trained) / 3)
            pruner.end_epoch()
        return {name: pruner.table.history(name)[:4].tolist() for name in ("first", "again", "gamma")}

    expected = history(looked_at=False, observed=False)
    assert min(expected["first"]) > 0
    assert history(looked_at=False, observed=True) == history(looked_at=True, observed=True) == expected


def test_losses_of_zero_do_not_end_what_is_known_of_the_gap() -> None:
    pruner = Pruner(N, "emp-gated", prune_rate=0.3, num_epochs=12, seed=1)
    for epoch in pruner.epochs():
        learnt = torch.from_numpy(pruner.table.times_trained > 0) & (torch.arange(N) % 10 > 1)
        for ids in IdBatches(pruner, 400):
            loss = torch.where(learnt[ids], 0.0 if epoch > 2 else 0.01, 5.0 - 4.99 * (ids % 10 > 1))
            pruner.loss(ids, loss, torch.zeros(len(ids)))
    assert np.count_nonzero(pruner.table.loss) < pruner.kept[-1] * 0.7  # more were asked for than have a weight
    assert np.isfinite(pruner.table.history("gap")[2:]).all()


@pytest.mark.parametrize("warmup_epochs", [0, 1])
def test_nothing_that_has_been_trained_is_kept_back(warmup_epochs: int) -> None:
    def build(num_epochs: int) -> Pruner:
        return Pruner(N, "emp-gated", prune_rate=0.5, num_epochs=num_epochs, seed=3, warmup_epochs=warmup_epochs)

    shorter, longer = build(10), build(30)
    longer.load_state_dict(train(shorter, 0.2, 1 if warmup_epochs else 10).state_dict(), allow=("num_epochs",))
    rows = generator(3, -1, "reserve").permutation(N)[60:100]  # a fresh run of 30 epochs would keep them back
    assert not longer.table.unseen[rows].any()
    assert 10 <= np.isin(rows, longer.plan.ids).sum() <= 30


@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0])
def test_the_exponent_follows_what_stored_scores_still_say_when_seen_again(kept: float) -> None:
    """A score is the sample's own part and chance of the moment, in known proportions of its logarithm's variance."""
    own = torch.randn(N, generator=torch.Generator().manual_seed(1))
    pruner = Pruner(N, GatedEMP(slope=0), prune_rate=0.7, num_epochs=EPOCHS, seed=3)
    for epoch in pruner.epochs():
        chance = torch.randn(N, generator=torch.Generator().manual_seed(10 + epoch))
        for ids in IdBatches(pruner, 100):
            loss = torch.exp(kept**0.5 * own[ids] + (1 - kept) ** 0.5 * chance[ids])
            pruner.loss(ids, loss.requires_grad_(), memory=torch.zeros(len(ids)))
    found = pruner.table.history("reliability")[4:]
    assert found == pytest.approx(kept, abs=0.08)
    sure = np.maximum(found - pruner.table.history("reliability_error")[4:], 0)
    assert pruner.table.history("gamma")[4:] == pytest.approx(GatedEMP().gamma * sure)


def test_a_few_pairs_of_scores_are_not_believed() -> None:
    counted = {"pairs": 3.0, "x": 0.0, "y": 0.0, "xx": 1.0, "xy": 0.9, "yy": 9.0}
    few = reliability({name: np.array([value]) for name, value in counted.items()}, np.ones(1))
    many = reliability({name: np.array([1000 * value]) for name, value in counted.items()}, np.ones(1))
    assert few.value == many.value == pytest.approx(0.9)
    assert few.error > 2
    assert many.error < 0.1


@pytest.mark.parametrize(("gap", "gamma"), [(0.0, 2.2), (0.6, 0.0)])
def test_held_out_losses_stand_in_where_full_epochs_come_first(gap: float, gamma: float) -> None:
    pruner = Pruner(N, GatedEMP(), prune_rate=0.8, num_epochs=8, warmup_epochs=1)
    for epoch in range(1, 9):
        pruner.observe_held_out(difficulty(torch.arange(0, N, 2)))
        train(pruner, gap, epoch)
    assert pruner.table.history("gap")[3:] == pytest.approx(gap, abs=0.12)
    assert pruner.table.history("gamma")[4:] == pytest.approx(gamma, abs=0.8)


def test_held_out_losses_that_say_nothing_are_refused() -> None:
    pruner = gated()
    for loss in (3.0, torch.tensor([1]), torch.tensor([]), torch.tensor(2.0), torch.tensor([1.0, np.nan])):
        with pytest.raises(ArgumentError, match="loss"):
            pruner.observe_held_out(loss)
    Pruner(N, "random", prune_rate=0.8, num_epochs=8).observe_held_out(torch.ones(3))
    train(pruner, 0.0).observe_held_out(torch.ones(3))  # the run is over


def test_samples_observed_before_their_first_step_still_count_as_new() -> None:
    def first(*, reported: bool) -> list[float]:
        pruner = gated()
        for _ in range(2):
            trained = torch.from_numpy(pruner.plan.ids.copy())
            pruner.observe(trained, difficulty(trained), difficulty(trained) / 3)
            if reported:
                pruner.report()
            pruner.loss(trained, difficulty(trained), difficulty(trained) / 3)
            pruner.end_epoch()
        return pruner.table.history("first")[:2].tolist()

    assert first(reported=True) == first(reported=False)
    assert first(reported=True)[0] == N * 0.2


def test_quarantined_samples_in_a_plan_leave_the_gap_as_it_is() -> None:
    pruner = Pruner(400, "emp-gated", prune_rate=0.1, num_epochs=8, on_nonfinite="quarantine")
    for _ in pruner.epochs():
        ids = torch.from_numpy(pruner.plan.ids.copy())
        loss = 1 + 0.01 * (ids % 7).float()
        loss[ids < 100], loss[ids > 393] = float("nan"), 0  # the last are learnt by heart: no loss is below theirs
        pruner.loss(ids, loss, loss / 3)
    assert (np.abs(pruner.table.history("gap")[2:]) < 2 * pruner.table.history("gap_error")[2:]).all()
    assert pruner.table.history("gap_error")[2] < 0.2


def test_what_was_seen_very_long_ago_is_not_known() -> None:
    pruner = Pruner(100, GatedEMP(half_life=1e-4, kept_back=0.01), prune_rate=0.3, num_epochs=1500)
    for _ in pruner.epochs():
        ids = torch.from_numpy(pruner.plan.ids.copy())
        pruner.loss(ids, torch.rand(len(ids)) + 0.1, torch.rand(len(ids)))
    assert pruner.table.history("gamma")[-1] == 0


def test_scores_may_span_all_of_float32() -> None:
    pruner = Pruner(100, "emp-gated", prune_rate=0.3, num_epochs=5)
    for _ in pruner.epochs():
        ids = torch.from_numpy(pruner.plan.ids.copy())
        pruner.loss(ids, torch.where(ids % 2 > 0, 3e38, -3e38), torch.zeros(len(ids)))
    assert pruner.report().realised_rate == pytest.approx(0.3)


@pytest.mark.parametrize(("rate", "said"), [(0.5, True), (0.2, False)])
def test_a_run_too_short_to_know_anything_says_that_it_is_random(rate, said):
    pruner = Pruner(200, prune_rate=rate, num_epochs=3)
    remark = "random subsets, as a sample has fewer than two turns"
    assert (remark in repr(pruner), remark in str(pruner.report())) == (said, said)


def test_a_state_that_lacks_what_an_earlier_version_did_not_note_goes_on() -> None:
    begun = train(gated(), 0.1, 7)
    state = copy.deepcopy(begun.state_dict())
    del state[f"table.history.{LEAST}"]
    restored = gated()
    restored.load_state_dict(state)
    assert train(restored, 0.1).table.history("gamma")[:7].tolist() == begun.table.history("gamma")[:7].tolist()
