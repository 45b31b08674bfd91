"""What a softmax says of its positive, and how many passes over similarities that takes."""

from __future__ import annotations

import sys

import pytest
import torch
from naive_contrast import drawn

from emprune.scoring import contrastive
from emprune.scoring.views.choices import Choice, among_keys


@pytest.mark.parametrize("memory_temperature", [0.5, 0.1])
def test_nothing_is_computed_that_nobody_wants(memory_temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes over similarities: one for the loss, which the projector's entropies share at the same temperature."""
    module = sys.modules["emprune.scoring.views.choices"]
    passes, plain = [], module.log_sum_exp
    monkeypatch.setattr(module, "log_sum_exp", lambda *a, **k: passes.append(k["entropy"]) or plain(*a, **k))
    first, second = drawn(6, 4)
    shared = memory_temperature == 0.5
    wanted = {"none": [False], "alignment": [False], "hidden": [False, True, True]}
    for memory, expected in {**wanted, "projector": [True] if shared else [False, True]}.items():
        passes.clear()
        layers = [(first, second), (second, first)]
        contrastive(first, second, memory=memory, hidden=layers, memory_temperature=memory_temperature)
        assert passes == expected


def test_loss_and_entropy_are_those_of_the_softmax() -> None:
    """Of one positive among four negatives, for positives from hopeless to certain."""
    negatives = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64)
    spread = torch.distributions.Categorical(logits=negatives).entropy()
    for positive in (-20.0, -1.0, 0.7, 5.0, 20.0):
        s = torch.cat([torch.tensor([positive], dtype=torch.float64), negatives])
        choice = Choice((negatives.logsumexp(0) - positive)[None], spread[None])
        torch.testing.assert_close(choice.loss[0], -torch.log_softmax(s, dim=0)[0])
        torch.testing.assert_close(choice.entropy[0], torch.distributions.Categorical(logits=s).entropy())


def test_the_entropy_has_no_gradient() -> None:
    gap = torch.tensor([0.5], requires_grad=True)
    choice = Choice(gap, torch.ones(1))
    assert choice.loss.requires_grad
    assert not choice.entropy.requires_grad


def test_own_keys_are_no_candidates_of_other_queries() -> None:
    """Another query's key changes nothing; another key in the queue does."""
    queries, keys = drawn(3, 4)
    (queue,) = drawn(5, 4, seed=2, number=1)
    plain = among_keys(queries, keys, queue, 0.2, entropy=False).gap
    swapped = among_keys(queries, torch.cat([keys[:1], keys[1:].flip(0)]), queue, 0.2, entropy=False).gap
    assert plain[0] == swapped[0]
    assert (plain[1:] != swapped[1:]).all()
    assert (among_keys(queries, keys, queue.roll(1, dims=1), 0.2, entropy=False).gap != plain).all()
