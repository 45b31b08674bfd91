"""Instance retrieval against a loop."""

import pytest
import torch

from emprune_lab.tasks.contrastive.retrieval import retrieved


def by_loop(first, second):
    views = torch.cat([first, second]).double()
    count, found = len(first), []
    for sample in range(count):
        hits = []
        for view, other in ((sample, sample + count), (sample + count, sample)):
            likeness = {
                index: float(torch.cosine_similarity(views[view], views[index], dim=0))
                for index in range(2 * count)
                if index != view
            }
            hits.append(max(likeness, key=likeness.get) == other)
        found.append(all(hits))
    return torch.tensor(found)


def views_of(count, noise, width=6):
    rng = torch.Generator().manual_seed(count)
    samples = torch.randn(count, width, generator=rng)
    first, second = (samples + noise * torch.randn(count, width, generator=rng) for _ in range(2))
    return first, 7 * second


@pytest.mark.parametrize("noise", [0.1, 0.4, 0.8])
def test_retrieval_is_that_of_a_loop(noise):
    first, second = views_of(40, noise)
    found = retrieved(first, second)
    assert found.dtype == torch.bool
    assert torch.equal(found, by_loop(first, second))
    assert torch.equal(retrieved(second, first), found)
    if noise > 0.1:
        assert 0 < found.sum() < 40


def test_one_direction_is_not_enough():
    """The third view's nearest is the second; the second's is its own other view."""
    angles = torch.tensor([0.0, 0.1, 0.25, 2.0])
    first, second = torch.stack([angles.cos(), angles.sin()], 1).view(2, 2, 2).transpose(0, 1)
    assert retrieved(first, second).tolist() == [True, False]
    assert retrieved(first.flip(0), second.flip(0)).tolist() == [False, True]


def test_within_a_step_nothing_is_checked():
    first, second = views_of(4, 0.1)
    first[1] = float("nan")
    assert not retrieved(first, second).any()
    assert retrieved(first[:1], second[:1]).tolist() == [True]


def test_nothing_is_retrieved_from_a_collapsed_representation():
    assert not retrieved(torch.eye(4)[:1].expand(8, 4), torch.eye(4)[:1].expand(8, 4)).any()
