"""Which of many policies and rates are shown."""

from made_results import compared, comparison, made

from emprune_lab.report.comparison import MOST_SHOWN, rates_of, shown_of
from emprune_lab.report.figures import difference
from emprune_lab.report.overview import overview_markdown


def test_few_of_many_policies_are_shown_those_that_tell_most():
    policies = ["short", "random", "rs2", "lfl", "el2n", "ucb", "infobatch", "emp:beta=2", "emp", "mine"]
    assert shown_of(policies, 4) == ["random", "lfl", "infobatch", "emp"]
    assert shown_of(policies[:MOST_SHOWN]) == policies[:MOST_SHOWN]


def with_ladder():
    rungs = [made("short", rate, seed, 0.98 - rate / 5) for rate in (0.9375, 0.875, 0.7) for seed in range(3)]
    return [*comparison(), *rungs]


def test_rates_of_plain_training_alone_are_left_out_where_policies_are_compared():
    shown = compared(with_ladder(), reference="full")
    assert rates_of(shown.cells) == [0.7, 0.9]
    assert {(row.policy, row.prune_rate) for row in shown.rated if row.policy in ("full", "short")} == {
        ("full", 0.0), ("short", 0.7)
    }  # fmt: skip
    assert [axes.get_title("left") for axes in difference.draw(shown).axes] == ["prune rate 0.7", "prune rate 0.9"]
    assert "0.9375" not in overview_markdown(with_ladder())
    assert rates_of({("full", 0.0): 1, ("short", 0.5): 1, ("short", 0.75): 1}) == [0.5, 0.75]


def test_the_example_of_each_policy_is_of_a_rate_at_which_something_is_pruned():
    runs = with_ladder()
    shown = compared(runs, {run.run_id: None for run in runs})
    assert {policy: run.prune_rate for policy, run in shown.example.items()} == {"random": 0.9, "emp": 0.9}
