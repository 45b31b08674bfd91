"""The report against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from thread_world import on_all_ranks

from emprune import ScoreTable
from emprune.distributed import RankSlice, World
from emprune.report import Totals, summarise, totals_of

COUNTERS = {"num_epochs": 5, "samples_forward": 9, "steps": 3, "seconds_selecting": 0.5}


def table_of(owned: RankSlice) -> ScoreTable:
    """Sample i of 30 trained i % 3 times; the even ones quarantined."""
    table = ScoreTable(30, owned=owned)
    ids = np.arange(owned.begin, owned.end)
    loss = np.where(ids % 2, 1, np.nan).astype(np.float32)
    for epoch in range(2):
        table.record(ids - owned.begin, loss, None, epoch, ids % 3 > epoch)
    return table


def test_totals_are_counted() -> None:
    assert totals_of(table_of(RankSlice.whole(30))) == Totals(30, 10, 15, tuple(range(0, 20, 2)))


def test_all_ranks_count_together() -> None:
    def count(world: World) -> Totals:
        return totals_of(table_of(RankSlice.of(30, world)))

    assert on_all_ranks(count) == [totals_of(table_of(RankSlice.whole(30)))] * 3


def test_the_realised_rate_counts_every_epoch_that_began() -> None:
    report = summarise(Totals(30, 10, 1, (4,)), num_samples=30, epochs=4, samples_there=120, **COUNTERS)
    assert report.realised_rate == pytest.approx(1 - 30 / (4 * 30))
    assert (report.samples_backward, report.never_trained, report.quarantined_ids, report.steps) == (30, 10, (4,), 3)


def test_before_the_first_epoch_nothing_is_pruned() -> None:
    assert summarise(Totals(0, 30, 0, ()), num_samples=30, epochs=0, samples_there=0, **COUNTERS).realised_rate == 0


def test_a_report_is_printed_for_people() -> None:
    report = summarise(Totals(30, 10, 2, (4, 7)), num_samples=30, epochs=4, samples_there=120, **COUNTERS)
    assert str(report) == (
        "4 of 5 epochs, realised rate 0.75: 30 samples through backward, 9 forward, 3 steps; 0.5 s selecting; "
        "10 of 30 never trained; 2 quarantined: 4, 7"
    )
    report = summarise(Totals(30, 10, 12, tuple(range(10))), num_samples=30, epochs=4, samples_there=120, **COUNTERS)
    assert str(report).endswith("; 12 quarantined: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …")
    assert "quarantined" not in str(
        summarise(Totals(0, 30, 0, ()), num_samples=30, epochs=0, samples_there=0, **COUNTERS)
    )


def test_what_the_policy_decided_is_printed() -> None:
    report = summarise(
        Totals(30, 10, 0, ()),
        num_samples=30,
        epochs=4,
        samples_there=120,
        decided={"gap": 0.031, "gamma": 2.0},
        **COUNTERS,
    )
    assert str(report).endswith("never trained; gap 0.031, gamma 2")
