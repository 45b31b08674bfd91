"""The answer's sentences: what pruning costs and saves, and that nothing is claimed which the seeds do not show."""

import dataclasses

import pytest
from made_results import made

from emprune_lab.report.answer import answers, own_answers
from emprune_lab.report.overview import tables_markdown
from emprune_lab.report.statistics import summarise

RECIPE = {"epochs": 10, "own": {"num_samples": 1000}}


def own(policy, rate, seed, value, seconds=None, *, higher_is_better=True, samples=None):
    samples = samples or round(10_000 * (1 - rate))
    seconds = samples / 100 if seconds is None else seconds
    return dataclasses.replace(
        made(policy, rate, seed), data="mine:train", model="", split="", recipe=RECIPE, metric="score", accuracy=value,
        metrics={"score": value}, higher_is_better=higher_is_better, remembered=None, remembered_true=None,
        samples_backward=samples, seconds={"total": seconds, "train": seconds, "select": 0.0, "score": 0.0},
        device="machine", run_id=f"{policy}-{rate}-{seed}", num_samples=1000, history=[], label_noise=0.0,
    )  # fmt: skip


def runs(policy, rate, values, **settings):
    return [own(policy, rate, seed, value, **settings) for seed, value in enumerate(values)]


FULL = runs("full", 0.0, [0.90, 0.91, 0.92])


def said(*groups):
    return answers(summarise([run for group in groups for run in group]))


def test_a_significant_loss_is_a_cost_with_its_interval():
    [sentence] = said(FULL, runs("emp-gated", 0.7, [0.85, 0.861, 0.869]))
    # Differences 0.05, 0.049, 0.051: mean 0.05, t(2) s / √3 = 0.0025.
    assert sentence.startswith(
        "Pruning with emp-gated at 0.7 costs 0.0500 [0.0475, 0.0525] of score (0.8600 against 0.9100 with all the "
        "data); it saves 70 % of the samples and 70 % of the seconds"
    )


def test_a_significant_gain():
    [sentence] = said(FULL, runs("emp-gated", 0.5, [0.92, 0.931, 0.939]))
    assert "at 0.5 gains 0.0200 [0.0175, 0.0225] of score (0.9300 against 0.9100" in sentence


def test_of_a_loss_more_is_a_cost():
    full = runs("full", 0.0, [0.50, 0.51, 0.52], higher_is_better=False)
    pruned = runs("emp-gated", 0.5, [0.55, 0.561, 0.569], higher_is_better=False)
    assert "costs 0.0500 [0.0475, 0.0525] of score (0.5600 against 0.5100" in said(full, pruned)[0]
    better = runs("emp-gated", 0.5, [0.45, 0.461, 0.469], higher_is_better=False)
    assert "gains 0.0500" in said(full, better)[0]


def test_a_difference_that_may_be_chance_is_called_so():
    [sentence] = said(FULL, runs("emp-gated", 0.7, [0.85, 0.93, 0.89]))
    assert "at 0.7 ends at score 0.8900 against 0.9100 with all the data, −0.0200 [" in sentence
    assert "a difference that 3 seeds do not tell from chance" in sentence
    assert "costs" not in sentence


def test_no_loss_is_claimed_only_where_the_interval_shows_it():
    [sentence] = said(FULL, runs("emp-gated", 0.7, [0.9000, 0.9101, 0.9199]))
    assert "costs no score (0.9100 against 0.9100 with all the data, +0.0000 [" in sentence


def test_one_seed_says_so():
    [sentence] = said(FULL[:1], runs("emp-gated", 0.7, [0.85]))
    assert (
        "score 0.8500 against 0.9000 with all the data, −0.0500, a difference that one seed does not tell" in sentence
    )


def test_the_highest_rate_without_loss_comes_first_else_the_lowest():
    near, far = [0.9000, 0.9101, 0.9199], [0.85, 0.861, 0.869]
    rates = {0.3: near, 0.5: near, 0.7: far}
    found = said(FULL, *(runs("emp-gated", rate, values) for rate, values in rates.items()))
    assert [sentence.split()[4] for sentence in found] == ["0.5", "0.3", "0.7"]
    found = said(FULL, *(runs("emp-gated", rate, far) for rate in rates))
    assert [sentence.split()[4] for sentence in found] == ["0.3", "0.5", "0.7"]


def test_the_default_policy_is_asked_for_else_another_that_is_pruned():
    pruned = [0.85, 0.861, 0.869]
    groups = [FULL, runs("random", 0.7, pruned), runs("lfl", 0.7, pruned)]
    assert said(*groups, runs("emp-gated", 0.7, pruned))[0].startswith("Pruning with emp-gated")
    assert said(*groups)[0].startswith("Pruning with lfl")
    assert said(*groups[:2])[0].startswith("Pruning with random")


def test_without_full_data_there_is_no_answer():
    assert said(runs("emp-gated", 0.7, [0.85, 0.861, 0.869])) == []
    assert said(FULL, runs("short", 0.7, [0.85, 0.861, 0.869])) == []


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.895, "choosing samples pays"),
        (0.80, "training on all of them for fewer epochs is better"),
        (0.86, "that is not significantly other than 1, so fewer epochs may do as well"),
    ],
)
def test_what_plain_training_would_need(value, verdict):
    noise = (-0.010, 0.0, 0.011)
    short = runs("short", 0.5, [0.86 + one for one in (0.001, -0.001, 0.0)])
    shorter = runs("short", 0.75, [0.82 + one for one in (0.0, 0.001, -0.001)])
    spread = noise if value == 0.86 else (0.001, -0.0005, 0.0)
    pruned = runs("emp-gated", 0.5, [value + one for one in spread])
    [sentence] = said(FULL, short, shorter, pruned)
    assert "Plain training needs " in sentence
    assert sentence.endswith(f"times its samples for that score: {verdict}.")


def test_seconds_saved_are_paired_by_seed_and_never_more_than_all():
    pruned = [own("emp-gated", 0.5, seed, 0.9, seconds) for seed, seconds in enumerate([25, 50, 100])]
    [row] = [row for row in summarise([*FULL, *pruned]) if row.policy == "emp-gated"]
    # Quotients 1/4, 1/2 and 1: their geometric mean is 1/2.
    assert row.seconds_saved.value == pytest.approx(0.5)
    assert row.seconds_saved.low < 0 < row.seconds_saved.high < 1
    elsewhere = [dataclasses.replace(run, device="another") for run in pruned]
    assert "its seconds were not measured on the machine of full data" in said(FULL, elsewhere)[0]


def test_only_a_comparison_of_ones_own_is_answered():
    mine = [*FULL, *runs("emp-gated", 0.7, [0.85, 0.861, 0.869])]
    [sentence] = own_answers(mine)
    assert sentence in tables_markdown(mine)
    assert own_answers([made("full", 0.0, 0), made("emp-gated", 0.7, 0)]) == []
