"""Which tokens are hidden, of windows that are trained and of held-out ones."""

import numpy as np
import pytest
import torch

from emprune_lab.tasks.text.masking import masked, masked_once


def test_masks_hide_the_same_share_of_every_window():
    windows = torch.arange(50).repeat(4000, 1)
    inputs, labels = masked(windows, 50, seed=3, epoch=1)
    hidden = labels >= 0
    assert hidden.sum(1).unique().tolist() == [8]  # of 50 tokens, round(7.5)
    assert torch.equal(labels[hidden], windows[hidden])
    assert torch.equal(inputs[~hidden], windows[~hidden])
    shares = [float((inputs[hidden] == 50).float().mean()), float((inputs[hidden] == windows[hidden]).float().mean())]
    assert shares == pytest.approx([0.8, 0.1 + 0.1 / 50], abs=0.01)
    assert hidden.float().mean(0) == pytest.approx(np.full(50, 8 / 50), abs=0.03)
    again, other = masked(windows, 50, seed=3, epoch=1), masked(windows, 50, seed=3, epoch=2)
    assert torch.equal(again[0], inputs)
    assert not torch.equal(other[1], labels)
    assert (masked(windows[:, :2], 50, 0, 0)[1] >= 0).sum(1).unique().tolist() == [1]


@pytest.mark.parametrize(("length", "times"), [(12, 7), (64, 7), (3, 3)])
def test_held_out_tokens_are_hidden_once_each(length, times):
    windows = torch.arange(5 * length).view(5, length)
    inputs, labels = masked_once(windows, 1000)
    assert len(inputs) == 5 * times
    assert sorted(labels[labels >= 0].tolist()) == list(range(5 * length))
    hidden = labels >= 0
    assert torch.equal(inputs, torch.where(hidden, 1000, windows.repeat(times, 1)))
    assert set(hidden.sum(1).tolist()) <= {length // times, -(-length // times)}
    assert torch.equal(labels, masked_once(windows, 1000)[1])
