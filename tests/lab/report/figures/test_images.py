"""The contact sheet: which images, and flipped labels are marked."""

import pytest
from made_samples import samples

from emprune_lab import data as lab_data
from emprune_lab.report.figures.images import extremes, sheet


def test_extremes_and_their_ties():
    arrays = samples(6)
    arrays.times_trained[:] = [3, 0, 3, 0, 1, 2]
    arrays.loss[:] = [0.1, 0.5, 0.9, 0.2, 0, 0]
    most, least = extremes(arrays, 3)
    assert most.tolist() == [2, 0, 5]
    assert least.tolist() == [3, 1, 4]


def test_contact_sheet_marks_flipped_labels():
    data = lab_data.with_label_noise(lab_data.load("digits"), 1.0, seed=0)
    titles = [axes.get_title() for axes in sheet(data, samples(len(data))).axes]
    assert len(titles) == 24
    assert all("→" in title and "×" in title for title in titles)
    with pytest.raises(ValueError, match="5 samples"):
        sheet(data, samples(5))
