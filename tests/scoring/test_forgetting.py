"""Forgetting events: hand-made sequences, and a naive count of each sample's own history."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emprune import ArgumentError, StateError
from emprune.scoring.forgetting import Forgetting


def watch(histories: list[str]) -> Forgetting:
    """One sample a string, one character an epoch: right (R), wrong (W) or not presented (-)."""
    counts = Forgetting(len(histories))
    for epoch in zip(*histories, strict=True):
        ids = [i for i, mark in enumerate(epoch) if mark != "-"]
        correct = [epoch[i] == "R" for i in ids]
        counts.update(torch.tensor(ids, dtype=torch.int64), torch.tensor(correct, dtype=torch.bool))
    return counts


def test_hand_made_sequences() -> None:
    histories = ["RRRRRR", "WWWWWW", "RWRWRW", "WWRRWW", "WWWWWR", "R-W-R-", "--RW--"]
    counts = watch(histories)
    assert counts.events.tolist() == [0, 0, 3, 1, 0, 1, 1]
    assert counts.presentations.tolist() == [6, 6, 6, 6, 6, 3, 2]
    assert counts.learned.tolist() == [True, False, True, True, True, True, True]
    # Never learned: as many as there were presentations, which no sample can reach by being forgotten.
    assert counts.score().tolist() == [0, 6, 3, 1, 0, 1, 1]
    assert counts.score().dtype == torch.float32


def test_a_sample_never_presented_counts_as_never_learned() -> None:
    counts = watch(["RW", "--"])
    assert counts.score().tolist() == [1, 2]
    assert Forgetting(3).score().tolist() == [0, 0, 0]


@given(st.lists(st.text("RW-", min_size=7, max_size=7), min_size=1, max_size=6))
def test_counts_are_those_of_each_samples_own_history(histories: list[str]) -> None:
    expected = []
    most = max(len(history.replace("-", "")) for history in histories)
    for history in histories:
        seen = history.replace("-", "")
        expected.append(float(seen.count("RW") if "R" in seen else most))
    assert watch(histories).score().tolist() == expected


def test_batches_of_an_epoch_may_come_in_any_order() -> None:
    rng = np.random.default_rng(0)
    whole, parts = Forgetting(20), Forgetting(20)
    for _ in range(5):
        correct = torch.from_numpy(rng.random(20) < 0.5)
        whole.update(torch.arange(20), correct)
        for ids in torch.from_numpy(rng.permutation(20)).split(7):
            parts.update(ids, correct[ids])
    assert torch.equal(whole.events, parts.events)
    assert torch.equal(whole.score(), parts.score())


def test_saved_and_restored_counts_go_on() -> None:
    first, second, whole = watch(["RW", "WW"]), Forgetting(2), watch(["RWRW", "WWWR"])
    state = first.state_dict()
    second.load_state_dict(state)
    for correct in ([True, False], [False, True]):
        second.update(torch.arange(2), torch.tensor(correct))
    assert second.score().tolist() == whole.score().tolist()
    assert torch.equal(state["events"], first.events)  # a copy: the other one's steps do not change it
    with pytest.raises(StateError, match=r"column 'events' is torch.int32 of shape \(2,\); needed: .*\(3,\)"):
        Forgetting(3).load_state_dict(state)
    with pytest.raises(StateError, match="column 'right' is missing"):
        second.load_state_dict({name: value for name, value in state.items() if name != "right"})
    assert second.score().tolist() == whole.score().tolist()


@pytest.mark.parametrize(
    ("ids", "correct", "message"),
    [
        (torch.tensor([0, 1]), torch.tensor([True]), r"correct is 'torch.bool of shape \(1,\)'; allowed: bool"),
        (torch.tensor([0, 1]), torch.tensor([1.0, 0.0]), "correct is 'torch.float32"),
        (torch.tensor([0.0]), torch.tensor([True]), "ids is 'torch.float32"),
        (torch.tensor([3]), torch.tensor([True]), "ids .*3"),
        (torch.tensor([-1]), torch.tensor([True]), "ids .*-1"),
    ],
)
def test_bad_batches_are_named_and_change_nothing(ids: torch.Tensor, correct: torch.Tensor, message: str) -> None:
    counts = Forgetting(3)
    with pytest.raises(ArgumentError, match=message):
        counts.update(ids, correct)
    assert counts.presentations.sum() == 0
