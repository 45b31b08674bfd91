"""The style of figures leaves no trace, and gives the same bytes."""

import matplotlib as mpl
from made_results import compared, comparison

from emprune_lab.report.figures import accuracy


def test_global_settings_stay_as_they_were_and_the_bytes_the_same():
    before = dict(mpl.rcParams)
    first, second = (accuracy.FIGURE.pictures(compared(comparison()))[0] for _ in range(2))
    assert dict(mpl.rcParams) == before
    assert first == second
