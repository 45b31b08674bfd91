"""The figure of differences: what is filled, and its axis."""

from made_results import compared, comparison, made

from emprune_lab.records.metrics import METRICS, Metric
from emprune_lab.report.figures import difference


def test_significant_differences_are_filled():
    axes = difference.draw(compared(comparison())).axes
    fills = [line.get_markerfacecolor() for panel in axes for line in panel.lines if line.get_marker() == "o"]
    assert [fill == "white" for fill in fills] == [False, False, True]  # lfl and emp at 0.7, emp at 0.9


def test_a_difference_without_a_unit_ends_with_its_reference(monkeypatch):
    monkeypatch.setitem(METRICS, "f1", Metric("f1", "F1", difference_unit=""))
    shown = compared([made(policy, 0.7, 0, 0.9, metric="f1") for policy in ("random", "emp")])
    assert difference.draw(shown).axes[0].get_xlabel() == "F1 minus random"
