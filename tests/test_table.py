"""The table: what it stores, in what order, and that a refused write changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import table_of
from hypothesis import given
from hypothesis import strategies as st

from emprune import ArgumentError, EpochOrderError, ScoreTable, StateError


def record(table: ScoreTable, ids: list[int], loss: list[float], epoch: int = 0, trained: bool = True) -> None:
    column = np.array(loss, dtype=np.float32)
    table.record(np.array(ids), column, column / 2, epoch, np.full(len(ids), trained))


def test_a_new_table_is_unseen_and_16_bytes_a_sample() -> None:
    table = ScoreTable(1000)
    assert (len(table), table.nbytes) == (1000, 16_000)
    assert np.isposinf(table.loss).all()
    assert table.unseen.all()
    assert table.last_seen.tolist() == [-1] * 1000
    assert not table.times_trained.any()


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 100, width=32), st.booleans()), max_size=60))
def test_record_is_what_a_naive_loop_does(rows: list[tuple[int, float, bool]]) -> None:
    table = ScoreTable(10)
    loss, count, seen = {}, dict.fromkeys(range(10), 0), set()
    for i, value, trained in rows:
        loss[i], count[i] = value, count[i] + trained
        seen.add(i)
    if rows:
        ids, values, trained = (np.array(column) for column in zip(*rows, strict=True))
        table.record(ids, values.astype(np.float32), None, 3, trained)
    assert table.times_trained.tolist() == list(count.values())
    assert table.loss.tolist() == [loss.get(i, float("inf")) for i in range(10)]
    assert table.last_seen.tolist() == [3 if i in seen else -1 for i in range(10)]
    assert all(np.isnan(table.memory[i]) for i in seen)


def test_an_earlier_epoch_after_a_later_one_is_refused_and_changes_nothing() -> None:
    table = ScoreTable(4)
    record(table, [1, 2], [0.5, 0.6], epoch=5)
    before = table.state_dict()
    with pytest.raises(EpochOrderError, match="observations of epoch 4 arrive after epoch 5"):
        record(table, [0, 2], [9.0, 9.0], epoch=4)
    assert all(torch.equal(before[name], column) for name, column in table.state_dict().items())
    record(table, [0], [1.0], epoch=4)  # this sample was not seen later


def test_columns_are_read_only_views() -> None:
    table = ScoreTable(3)
    for name in ("loss", "memory", "last_seen", "times_trained"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(table, name)[0] = 1


def test_rank_places_unseen_samples() -> None:
    table = table_of(np.array([1.0, np.inf, 3.0, np.nan, np.inf]))
    first, mean = table.rank(table.loss, "first"), table.rank(table.loss, "mean")
    assert np.array_equal(first, np.array([1, np.inf, 3, np.nan, np.inf], np.float32), equal_nan=True)
    assert np.array_equal(mean, np.array([1, 2, 3, np.nan, 2], np.float32), equal_nan=True)
    assert table_of(np.full(3, np.inf)).rank(np.full(3, np.inf, np.float32), "mean").tolist() == [0, 0, 0]
    with pytest.raises(ArgumentError, match="unseen is 'last'; allowed: 'first' or 'mean'"):
        table.rank(table.loss, "last")


def test_rank_returns_a_copy() -> None:
    table = table_of(np.ones(3))
    table.rank(table.loss, "first")[0] = 7
    assert table.loss.tolist() == [1, 1, 1]


def test_state_is_a_copy_and_loads_back() -> None:
    table, other = ScoreTable(5), ScoreTable(5)
    record(table, [3, 1], [0.25, 0.5], epoch=2)
    state = table.state_dict()
    other.load_state_dict(state)
    state["loss"][3] = 99
    assert table.loss[3] == other.loss[3] == 0.25
    assert other.memory[1] == 0.25
    assert other.last_seen.tolist() == [-1, 2, -1, 2, -1]
    assert other.times_trained.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss", torch.zeros(4), r"column 'loss' is float32 of shape \(4,\); this table holds float32 of shape \(5,\)"),
        ("last_seen", torch.zeros(5), "column 'last_seen' is float32 .*; this table holds int32"),
        ("memory", None, "state has no column 'memory'"),
    ],
)
def test_a_wrong_state_is_named_and_changes_nothing(name: str, value: torch.Tensor | None, message: str) -> None:
    table, source = ScoreTable(5), ScoreTable(5)
    record(table, [0], [0.5])
    record(source, [1], [0.75])
    state = source.state_dict()
    state[name] = value
    if value is None:
        del state[name]
    before = table.state_dict()
    with pytest.raises(StateError, match=message):
        table.load_state_dict(state)
    assert all(torch.equal(before[name], column) for name, column in table.state_dict().items())
