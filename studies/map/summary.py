"""What the study found, for programs: every cell with its policies, rank correlations and lossless rates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.map.cells import Cell
from studies.map.gap import correlations, within
from studies.map.lossless import groups, lossless
from studies.map.measures import gain, generalisation_gap, speed_up
from studies.map.names import FIXED, GATED, shown
from studies.map.runs import Place

from emprune_lab.report.costs import RANDOM
from emprune_lab.report.equal import SpeedUp
from emprune_lab.report.intervals import Estimate, mean

_DIGITS = 3


def summary(cells: Sequence[Cell]) -> dict[str, list[Any]]:
    """By part, a list of JSON objects: values in the units of the tables, estimates as [value, low, high, seeds].

    Of speed-ups each of the three stands behind its bound, "", "≥" or "≤".
    """
    return {
        "cells": [_cell(cell) for cell in cells],
        "rank correlations of the gain": [_correlations(cells, policy) for policy in (FIXED, GATED)],
        "lossless rates": [_lossless(group) for group in groups(cells)],
    }


def write(path: Path, found: Mapping[str, Sequence[Any]]) -> None:
    """As JSON with a line for each object."""
    parts = (f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, part)) + "\n]" for name, part in found.items())
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def _cell(cell: Cell) -> dict[str, Any]:
    policies = {
        policy: {"gain": _estimate(gain(cell, policy)), "speed-up": _speed_up(speed_up(cell, policy))}
        for policy in [RANDOM, *shown(cell.runs)]
    }
    return {
        **_setting(cell.place),
        "anneal": cell.anneal,
        "epochs": cell.epochs,
        "prune_rate": cell.prune_rate,
        "effective epochs": round(cell.effective_epochs, _DIGITS),
        "random": _estimate(mean([run.value for run in cell.random.values()])),
        "generalisation gap": _estimate(generalisation_gap(cell)),
        "policies": policies,
    }


def _correlations(cells: Sequence[Cell], policy: str) -> dict[str, Any]:
    parts = {
        part: {name: [_rounded(one.value), one.count] for name, one in row.items()}
        for part, row in correlations(cells, policy).items()
    }
    own = [
        {**_setting(place), "value": [_rounded(one.value), one.count]} for place, one in within(cells, policy).items()
    ]
    return {"policy": policy, **parts, "with the gap, within one setting": own}


def _lossless(group: Sequence[Cell]) -> dict[str, Any]:
    first = group[0]
    found = {policy: lossless(group, policy) for policy in [RANDOM, *shown(one for cell in group for one in cell.runs)]}
    return {
        **_setting(first.place),
        "anneal": first.anneal,
        "epochs": first.epochs,
        "policies": {
            policy: {"rate": one.rate, "to full": {rate: _estimate(of) for rate, of in one.differences.items()}}
            for policy, one in found.items()
            if one is not None
        },
    }


def _setting(place: Place) -> dict[str, Any]:
    return {
        "data": place.data, "network": place.network, "samples": place.num_samples, "label_noise": place.label_noise,
        "imbalance": place.imbalance, "metric": place.metric,
    }  # fmt: skip


def _estimate(one: Estimate | None) -> list[Any] | None:
    return None if one is None else [*map(_rounded, (one.value, one.low, one.high)), one.count]


def _speed_up(one: SpeedUp | None) -> list[Any] | None:
    if one is None:
        return None
    ends = ((one.value, one.bound), (one.low, one.low_bound), (one.high, one.high_bound))
    return [*([bound, _rounded(value)] for value, bound in ends), one.count]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
