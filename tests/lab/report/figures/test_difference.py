"""The figure of differences: what is filled."""

from made_results import compared, comparison

from emprune_lab.report.figures import difference


def test_significant_differences_are_filled():
    axes = difference.draw(compared(comparison())).axes
    fills = [line.get_markerfacecolor() for panel in axes for line in panel.lines if line.get_marker() == "o"]
    assert [fill == "white" for fill in fills] == [False, False, True]  # lfl and emp at 0.7, emp at 0.9
