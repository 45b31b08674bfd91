"""The figure of the speed-up: a mark a policy and rate, arrows where nothing is claimed, and where it applies."""

import pytest
from made_results import compared, comparison, is_drawn, made, many_policies, texts

from emprune_lab.report.figures import equal


def with_short(values=(0.86, 0.88, 0.885), rates=(0.9,)):
    return [*comparison(), *(made("short", rate, seed, values[seed]) for rate in rates for seed in range(3))]


def marks_of(figure):
    """Every drawn (rate's place rounded, speed-up)."""
    lines = [line for line in figure.axes[0].lines if line.get_label().startswith("_")]
    return {(round(float(x)), round(float(y), 6)) for line in lines for x, y in zip(*line.get_data(), strict=True)}


def test_every_policy_and_rate_stands_at_its_speed_up():
    shown = compared(with_short())
    figure = equal.draw(shown)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.7", "0.9"]
    expected = {
        (int(row.prune_rate == 0.9), round(row.speed_up.value, 6)) for row in shown.rows if row.speed_up is not None
    }
    assert len(expected) == 4  # two are at most 1.00
    assert expected <= marks_of(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["random", "lfl", "emp"]
    assert {"full 3.33", "full 10"} <= set(texts(figure))
    assert is_drawn(figure)


def test_what_is_only_a_bound_has_an_arrow_inside_the_picture():
    shown = compared(with_short(values=(0.70, 0.71, 0.72)))
    worst = next(row for row in shown.rows if (row.policy, row.prune_rate) == ("random", 0.9))
    assert worst.speed_up.low_bound in ("", "≤")
    better = compared([*with_short(), *(made("mine", 0.7, seed, 0.99 + seed / 1000) for seed in range(3))])
    row = next(row for row in better.rows if row.policy == "mine")
    assert (row.speed_up.bound, row.speed_up.low_bound) == ("≥", "≥")
    figure = equal.draw(better)
    arrows = [text for text in figure.axes[0].texts if getattr(text, "arrow_patch", None)]
    assert pytest.approx(row.speed_up.value) in [arrow.xy[1] for arrow in arrows]
    assert figure.axes[0].get_ylim()[1] > row.speed_up.value


def test_it_applies_where_there_are_two_budgets_of_plain_training():
    assert not equal.FIGURE.applies(compared(comparison()))
    assert equal.FIGURE.applies(compared(with_short()))
    without_full = [run for run in with_short(rates=(0.7, 0.9)) if run.policy != "full"]
    assert "short 1" in texts(equal.draw(compared(without_full)))
    assert is_drawn(equal.draw(compared(many_policies())))
