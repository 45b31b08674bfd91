"""The statistics of a comparison for programs: the content of summary.json."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from emprune_lab.records.results import Result
from emprune_lab.report.answer import answers
from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.report.lossless import Lossless, lossless_rates, seconds_saved
from emprune_lab.report.settings import setting_titles
from emprune_lab.report.statistics import Row, summarise

SCHEMA_VERSION = 1


def summary(results: Iterable[Result], reference: str = RANDOM) -> dict[str, Any]:
    """Every setting with a row for each policy and rate, and the lossless rate of each policy, as JSON values.

    Statistics are ``{"value", "low", "high", "count"}``, with null ends where there is no interval; those of a speed-up
    have ``bound``, ``low_bound`` and ``high_bound`` too: "≥" or "≤" where a number is only known to be at least or at
    most so much. Metric values are scaled as in the tables. Of a user's own data ``answers`` has the sentences of
    :func:`emprune_lab.report.answer.answers`.

    Raises:
        ArgumentError: as :func:`~emprune_lab.report.statistics.summarise`.
    """
    rows = summarise(results, reference)
    titles = setting_titles(list(dict.fromkeys(row.setting for row in rows)))
    groups = [(setting, list(group)) for setting, group in itertools.groupby(rows, key=lambda row: row.setting)]
    settings = [
        {
            "title": titles[setting],
            **{name: getattr(setting, name) for name in ("data", "model", "split", "label_noise", "imbalance")},
            "anneal": setting.anneal,
            "budget": setting.budget,
            "metric": own[0].metric.name,
            "higher_is_better": own[0].metric.higher_is_better,
            "answers": answers(own) if setting.own else [],
            "rows": [_row(row) for row in own],
            "lossless": [_lossless(one, own) for one in lossless_rates(own)],
        }
        for setting, own in groups
    ]
    return {"schema_version": SCHEMA_VERSION, "reference": reference, "settings": settings}


def _row(row: Row) -> dict[str, Any]:
    return {
        "policy": row.policy,
        "prune_rate": row.prune_rate,
        "realised_rate": row.cost.realised_rate,
        "seeds": list(row.seeds),
        "own_budget": row.own_budget,
        "metrics": {
            one.metric.name: {"mean": _values(one.mean), "difference": _values(one.difference)} for one in row.measures
        },
        "minus_full": _values(row.to_full),
        "gap_closed": _values(row.gap_closed),
        "speed_up": _values(row.speed_up),
        "speed_up_in_seconds": _values(row.speed_up_in_seconds),
        "samples_trained": row.cost.samples_trained,
        "seconds": row.cost.seconds,
        "seconds_saved": _values(row.seconds_saved),
        "overhead": row.cost.overhead,
    }


def _lossless(one: Lossless, rows: Sequence[Row]) -> dict[str, Any]:
    full = next(row for row in rows if row.policy == FULL)
    return {
        "policy": one.policy,
        "prune_rate": one.rate,
        "tried": [row.prune_rate for row in one.rows],
        "minus_full": None if one.row is None else _values(one.row.to_full),
        "seconds_saved": None if one.row is None else seconds_saved(one.row, full),
    }


def _values(statistic: Any) -> dict[str, Any] | None:
    return None if statistic is None else dataclasses.asdict(statistic)
