"""Which of many policies are shown."""

from emprune_lab.report.comparison import MOST_SHOWN, shown_of


def test_few_of_many_policies_are_shown_those_that_tell_most():
    policies = ["short", "random", "rs2", "lfl", "el2n", "ucb", "infobatch", "emp:beta=2", "emp", "mine"]
    assert shown_of(policies, 4) == ["random", "lfl", "infobatch", "emp"]
    assert shown_of(policies[:MOST_SHOWN]) == policies[:MOST_SHOWN]
