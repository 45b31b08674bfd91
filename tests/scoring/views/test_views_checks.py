"""Bad input of the contrastive scores: a clear error, or NaN where nobody looks; a pruner records nothing."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import torch
from naive_contrast import drawn

from emprune import ArgumentError, NonFiniteError, Pruner
from emprune.scoring import contrastive, contrastive_queue, info_nce, misalignment, ntxent, similarity_entropy

FIRST, SECOND = drawn(4, 3)
QUEUE = torch.ones(5, 3)
PAIR = (FIRST, SECOND)


def zeroed(row: int = 2) -> torch.Tensor:
    return FIRST.index_fill(0, torch.tensor([row]), 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": FIRST.tolist()}, "first is 'list'; allowed: floating point of shape [batch, features]."),
        ({"first": FIRST.long()}, "first is 'torch.int64 of shape (4, 3)'"),
        ({"first": FIRST[0]}, "first is 'torch.float32 of shape (3,)'"),
        ({"first": FIRST[..., None, None]}, "Bring it to one vector a sample: maps.mean(dim=(2, 3))"),
        ({"first": FIRST[:0], "second": SECOND[:0]}, "first is 'torch.float32 of shape (0, 3)'"),
        ({"second": SECOND[:3]}, "second is 'torch.float32 of shape (3, 3)'; allowed: shape (4, 3), as first."),
        ({"second": SECOND[:, :2]}, "second is 'torch.float32 of shape (4, 2)'"),
        ({"first": FIRST[:1], "second": SECOND[:1], "hidden": [(FIRST[:1], SECOND[:1])]},
         "first is 'a batch of 1'; allowed: 2 samples or more: the others are its negatives. Drop such a last batch"),
        ({"first": zeroed()}, "first is 'zero in 1 of 4 rows: 2'; allowed: features of a length above 0"),
        ({"second": zeroed()}, "second is 'zero in 1 of 4 rows: 2'"),
        ({"hidden": [PAIR, (FIRST, zeroed(0))]}, "hidden[1][1] is 'zero in 1 of 4 rows: 0'"),
        ({"hidden": [(zeroed(0), FIRST)], "memory": "alignment"}, "hidden[0][0] is 'zero in 1 of 4 rows: 0'"),
        ({"memory": "layers"}, "memory is 'layers'; allowed: 'hidden', 'projector', 'alignment', 'none'."),
        ({"hidden": ()}, "hidden is 'empty'; allowed: one or more pairs"),
        ({"hidden": (), "memory": "alignment"}, "for memory='alignment'. Capture them with emprune.Capture"),
        ({"hidden": FIRST}, "hidden is 'a Tensor'; allowed: a sequence of pairs"),
        ({"hidden": PAIR}, "hidden[0] is 'a Tensor'; allowed: pairs (first view's, second view's) of hidden features, "
         "[batch, features] each. For a single layer write hidden=[(first, second)]."),
        ({"hidden": [(FIRST,)]}, "hidden[0] is 'a tuple'"),
        ({"hidden": [(FIRST, SECOND[:, :2])]}, "hidden[0][1] is 'torch.float32 of shape (4, 2)'; allowed: shape (4,"),
        ({"hidden": [PAIR, (FIRST[..., None], SECOND)]}, "hidden[1][0] is 'torch.float32 of shape (4, 3, 1)'"),
        ({"hidden": [(FIRST[:3], SECOND[:3])]}, "hidden[0] is 'features of 3 samples'; allowed: of the batch's 4."),
        ({"temperature": 0.0}, "temperature is 0.0; allowed: a finite number above 0."),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": "warm"}, "temperature is 'warm'"),
        ({"memory_temperature": -1}, "memory_temperature is -1; allowed: a finite number above 0."),
        ({"memory_temperature": float("inf")}, "memory_temperature is inf"),
        ({"chunk_size": 0}, "chunk_size is 0; allowed: an integer of at least 1."),
        ({"batch_size": 3}, "batch_size is 3; allowed: the usual batch size, at least the 4 samples of this batch."),
        ({"batch_size": 4.0}, "batch_size is 4.0; allowed: an integer of at least 1."),
    ],
)  # fmt: skip
def test_views(changes: dict[str, Any], message: str) -> None:
    given = {"first": FIRST, "second": SECOND, "memory": "hidden", "hidden": [PAIR]} | changes
    with pytest.raises(ArgumentError, match=re.escape(message)):
        contrastive(given.pop("first"), given.pop("second"), **given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": SECOND[:3]}, "keys is 'torch.float32 of shape (3, 3)'; allowed: shape (4, 3), as queries."),
        ({"queue": QUEUE[:3]}, "queue is 'of 3 keys'; allowed: at least the 4 of a batch."),
        ({"queue": torch.ones(3, 5)}, "If it is stored as [features, length], pass queue.T."),
        ({"queue": QUEUE[0]}, "queue is 'torch.float32 of shape (3,)'; allowed: floating point of shape [length, feat"),
        ({"queue": QUEUE * 0}, "queue is 'zero in 5 of 5 rows: 0, 1, 2, 3, 4'"),
        ({"queries": zeroed()}, "queries is 'zero in 1 of 4 rows: 2'"),
        ({"keys": zeroed()}, "keys is 'zero in 1 of 4 rows: 2'"),
        ({"hidden": ()}, "hidden is 'empty'"),
        ({"queries": FIRST[:1], "keys": SECOND[:1], "hidden": [(FIRST[:1], SECOND[:1])]}, "a batch of 1"),
        ({"temperature": 0}, "temperature is 0"),
        ({"memory_temperature": 0}, "memory_temperature is 0"),
        ({"chunk_size": 2.5}, "chunk_size is 2.5"),
        ({"batch_size": 2}, "batch_size is 2"),
        ({"memory": None}, "memory is None"),
    ],
)
def test_queries(changes: dict[str, Any], message: str) -> None:
    given = {"queries": FIRST, "keys": SECOND, "queue": QUEUE, "memory": "hidden", "hidden": [PAIR]} | changes
    with pytest.raises(ArgumentError, match=re.escape(message)):
        contrastive_queue(given.pop("queries"), given.pop("keys"), given.pop("queue"), **given)


def test_the_equations_check_alike() -> None:
    for function in (ntxent, similarity_entropy, misalignment):
        with pytest.raises(ArgumentError, match="second is"):
            function(FIRST, SECOND[:2])
        with pytest.raises(ArgumentError, match="first is 'zero in 1 of 4 rows: 1'"):
            function(zeroed(1), SECOND)
    for function in (ntxent, similarity_entropy):
        with pytest.raises(ArgumentError, match="a batch of 1"):
            function(FIRST[:1], SECOND[:1])
        with pytest.raises(ArgumentError, match="temperature"):
            function(FIRST, SECOND, temperature=0)
    with pytest.raises(ArgumentError, match="queue is 'of 3 keys'"):
        info_nce(FIRST, SECOND, QUEUE[:3])
    with pytest.raises(ArgumentError, match="chunk_size"):
        info_nce(FIRST, SECOND, QUEUE, chunk_size=0)


def test_a_query_alone_has_negatives() -> None:
    loss, memory = contrastive_queue(FIRST[:1], SECOND[:1], QUEUE, memory="projector")
    assert torch.isfinite(torch.stack([loss, memory])).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_bad_numbers_are_never_hidden(bad: float, place: int) -> None:
    """They are among all negatives: no value of the batch is finite."""
    pair = [FIRST.clone(), SECOND.clone()]
    pair[place][1, 0] = bad
    for memory in ("projector", "none"):
        assert torch.isnan(contrastive(*pair, memory=memory).loss).all()
    assert torch.isnan(contrastive(*pair, memory="projector").memory).all()
    assert torch.isnan(contrastive(FIRST, SECOND, memory="hidden", hidden=[PAIR, pair]).memory).all()
    assert torch.isnan(contrastive(FIRST, SECOND, hidden=[pair], memory="alignment").memory).tolist() == [
        False, True, False, False,
    ]  # fmt: skip
    assert torch.isnan(contrastive_queue(*pair, QUEUE, memory="none").loss).tolist() == [False, True, False, False]
    assert torch.isnan(contrastive_queue(FIRST, SECOND, pair[place], memory="projector").memory).all()


def test_zeros_that_are_not_looked_at_are_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator."""
    monkeypatch.setattr(sys.modules["emprune.scoring.views.similarity"], "can_read", lambda values: False)
    assert torch.isnan(contrastive(zeroed(), SECOND, memory="none").loss).all()
    assert torch.isnan(contrastive(FIRST, SECOND, memory="hidden", hidden=[(FIRST, zeroed())]).memory).all()
    alignment = contrastive(FIRST, SECOND, hidden=[(FIRST, zeroed())], memory="alignment").memory
    assert torch.isnan(alignment).tolist() == [False, False, True, False]


@pytest.mark.parametrize("where", ["projector", "hidden"])
def test_a_pruner_raises_and_records_nothing(where: str) -> None:
    pruner = Pruner(20, "emp", prune_rate=0.5, num_epochs=3)
    before = {name: column.clone() for name, column in pruner.table.state_dict().items()}
    bad = FIRST.clone()
    bad[1, 0] = torch.nan
    given = (bad, SECOND) if where == "projector" else PAIR
    scores = contrastive(*given, memory="hidden", hidden=[(bad, SECOND)])
    with pytest.raises(NonFiniteError, match="4 sample"):
        pruner.loss(torch.tensor(pruner.plan.ids[:4]), *scores)
    for name, column in pruner.table.state_dict().items():
        torch.testing.assert_close(column, before[name], equal_nan=True)
