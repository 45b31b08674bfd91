"""The figure of what a policy saw and decided."""

from __future__ import annotations

import numpy as np
from made_results import compared, is_drawn, made

from emprune_lab.report.figures.decided import FIGURE


def history(seed: int) -> list[dict[str, float]]:
    decided = {"gap": 0.1 * seed, "gap_error": 0.2, "reliability": 0.5, "reliability_error": 0.6, "gamma": 1.5}
    return [{"kept": 300, **({} if epoch < 2 else decided)} for epoch in range(9)]


def test_it_is_drawn_of_what_was_recorded_from_the_epoch_on_in_which_it_was_known() -> None:
    runs = [made("emp-gated", rate, seed, history=history(seed)) for rate in (0.7, 0.9) for seed in range(3)]
    comparison = compared([*runs, made("random")])
    assert FIGURE.applies(comparison)
    figure = FIGURE.draw(comparison)
    gap, reliability, gamma = figure.axes
    lines = [line for line in gap.lines if len(line.get_xdata()) == 7]
    assert len(lines) == 2
    assert np.allclose(lines[0].get_ydata(), 0.1 + 0.2)
    assert all(np.allclose(line.get_ydata(), 0) for line in reliability.lines)
    assert gamma.get_ylabel() == "exponent γ"
    assert is_drawn(figure)


def test_it_is_left_out_where_no_policy_decides() -> None:
    assert not FIGURE.applies(compared([made("random"), made("emp")]))
