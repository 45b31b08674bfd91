"""How often the laboratory's 95 % intervals hold the truth, at few seeds and the spreads of the committed results.

    python -m studies.intervals

For every policy and rate with three seeds or more beside random and full, the means and covariances of the three that
were measured are taken for the truth, and seeds are drawn from them: normal ones, and such whose standardised
deviations are drawn from those of all committed results. Printed is how many intervals are shown, and which part of
those holds the truth; for gap closed, Fieller's interval wherever the gap is significant, also of fewer seeds than the
laboratory shows it for.

Likewise for speed-up at equal value, from a policy and all plain runs beside it; intervals that span all plain runs say
nothing and are counted apart. Where the truth lies beyond the plain runs, an interval holds it that reaches beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emprune_lab.records.metrics import metric_named
from emprune_lab.records.results import RESULTS_FILE, Result, load_results
from emprune_lab.report.costs import FULL, PLAIN, RANDOM, own_budget
from emprune_lab.report.equal import LEAST_SEEDS, Ladder, SpeedUp, speed_up
from emprune_lab.report.intervals import LEAST_SEEDS_OF_A_GAP, fieller, mean, paired_difference
from emprune_lab.report.settings import by_setting
from emprune_lab.report.statistics import by_cell

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
"""(generator, number of values) → [..] deviations of unit variance."""

COUNTS, REPETITIONS, LEAST = (2, 3, 4, 5), 300, 3


@dataclass(frozen=True)
class Ladders:
    """A policy beside plain training.

    Attributes:
        budgets: samples of the plain runs, ascending. samples: of the policy.
        values: by seed, shape [seeds, 1 + budgets], the policy's first; higher is better.
    """

    budgets: tuple[float, ...]
    samples: float
    values: Floats

    def found(self, values: Floats) -> SpeedUp | None:
        """The speed-up of other seeds, of any number."""
        plain = {budget: dict(enumerate(column)) for budget, column in zip(self.budgets, values.T[1:], strict=True)}
        return speed_up(plain, self.samples, dict(enumerate(values[:, 0])), least_seeds=2)

    @property
    def truth(self) -> SpeedUp:
        """That of the means."""
        centre = self.values.mean(axis=0)
        best = np.maximum.accumulate(centre[1:])
        return Ladder(self.budgets, tuple(best)).speed_up(self.samples, float(centre[0]))


def measured() -> Iterator[Floats]:
    """Values of a policy, random and full by seed, shape [seeds, 3], higher is better; where full is above random."""
    for path in sorted(Path(__file__).parent.rglob(RESULTS_FILE)):
        for runs in by_setting(load_results(path)).values():
            cells = by_cell(runs)
            full = cells.get((FULL, 0.0), {})
            for (policy, rate), own in cells.items():
                random = cells.get((RANDOM, rate), {})
                seeds = [seed for seed in own if seed in random and seed in full]
                if policy in (FULL, RANDOM) or own_budget(policy) or len(seeds) < LEAST:
                    continue
                metric = metric_named(own[seeds[0]].metric)
                values = np.array([[run[seed].accuracy for run in (own, random, full)] for seed in seeds])
                values = values * metric.sign * metric.scale
                if values[:, 2].mean() > values[:, 1].mean():
                    yield values


def measured_ladders() -> Iterator[Ladders]:
    """Every policy and rate with three seeds or more beside two budgets of plain training."""
    for path in sorted(Path(__file__).parent.rglob(RESULTS_FILE)):
        for runs in by_setting(load_results(path)).values():
            cells = by_cell(runs)
            plain = sorted(
                (group for (policy, _), group in cells.items() if policy in PLAIN), key=lambda group: _samples(group)
            )
            for (policy, _), own in cells.items():
                seeds = [seed for seed in own if all(seed in group for group in plain)]
                if policy in PLAIN or len(plain) < 2 or len(seeds) < LEAST:
                    continue
                metric = metric_named(own[seeds[0]].metric)
                values = np.array([[run[seed].accuracy for run in (own, *plain)] for seed in seeds])
                budgets = tuple(map(_samples, plain))
                yield Ladders(budgets, _samples(own), values * metric.sign * metric.scale)


def _samples(runs: Mapping[int, Result]) -> float:
    return float(np.mean([run.samples_backward + run.samples_backward_scoring for run in runs.values()]))


def deviations(cells: Sequence[Floats]) -> Floats:
    """Standardised deviations of all values from their means, of unit variance as a whole."""
    found = []
    for cell in cells:
        spread = cell.std(axis=0, ddof=1)
        found.append(((cell - cell.mean(axis=0))[:, spread > 0] / spread[spread > 0]).ravel())
    pooled = np.concatenate(found)
    return np.asarray(pooled / pooled.std())


def coverage(cells: Sequence[Floats], count: int, draw: Draw) -> dict[str, tuple[float, float]]:
    """Statistic → part of its intervals that is shown, and part of those that holds the truth."""
    rng, shown, held = np.random.default_rng(count), dict.fromkeys(_STATISTICS, 0), dict.fromkeys(_STATISTICS, 0)
    for cell in cells:
        centre = cell.mean(axis=0)
        root = np.linalg.cholesky(np.cov(cell.T) + 1e-12 * np.eye(3))
        truths = (centre[0], centre[0] - centre[1], (centre[0] - centre[1]) / (centre[2] - centre[1]))
        for seeds in centre + draw(rng, REPETITIONS * count * 3).reshape(REPETITIONS, count, 3) @ root.T:
            for (name, ends_of), truth in zip(_STATISTICS.items(), truths, strict=True):
                if (ends := ends_of(*seeds.T)) is not None:
                    shown[name] += 1
                    held[name] += ends[0] <= truth <= ends[1]
    whole = REPETITIONS * len(cells)
    return {name: (shown[name] / whole, held[name] / max(shown[name], 1)) for name in _STATISTICS}


def coverage_of_speed_ups(ladders: Sequence[Ladders], count: int, draw: Draw) -> tuple[float, float, float, float]:
    """Part of the intervals that says something, and how many of these hold; then those with two ends, likewise."""
    rng = np.random.default_rng(count)
    telling, ended = [], []
    for one in ladders:
        width = one.values.shape[1]
        root = np.linalg.cholesky(np.cov(one.values.T) + 1e-12 * np.eye(width))
        for noise in draw(rng, REPETITIONS * count * width).reshape(REPETITIONS, count, width) @ root.T:
            found = one.found(one.values.mean(axis=0) + noise)
            if found is None or found.low is None or (found.low_bound, found.high_bound) == ("≤", "≥"):
                continue
            held = holds(found, one.truth)
            telling.append(held)
            if not found.low_bound and not found.high_bound:
                ended.append(held)
    whole = REPETITIONS * len(ladders)
    return len(telling) / whole, float(np.mean(telling)), len(ended) / whole, float(np.mean(ended))


def holds(found: SpeedUp, truth: SpeedUp) -> bool:
    """Whether an interval holds the truth; what lies beyond the plain runs counts as zero or infinity."""
    low = 0.0 if found.low is None or found.low_bound == "≤" else found.low
    high = np.inf if found.high is None or found.high_bound == "≥" else found.high
    return bool(low <= {"": truth.value, "≤": 0.0, "≥": np.inf}[truth.bound] <= high)


def _mean(value: Floats, random: Floats, full: Floats) -> tuple[float, float] | None:
    estimate = mean(value)
    return None if estimate.low is None else estimate.ends


def _difference(value: Floats, random: Floats, full: Floats) -> tuple[float, float] | None:
    estimate = paired_difference(value, random)
    return None if estimate.low is None else estimate.ends


def _gap(value: Floats, random: Floats, full: Floats) -> tuple[float, float] | None:
    return fieller(value - random, full - random) if (full - random).mean() > 0 else None


_STATISTICS = {"mean": _mean, "difference to random": _difference, "gap closed": _gap}


def main() -> None:
    """Simulate and print."""
    cells = list(measured())
    pooled = deviations(cells)
    draws: dict[str, Draw] = {
        "normal": lambda rng, size: rng.normal(size=size),
        "as measured": lambda rng, size: rng.choice(pooled, size),
    }
    note = f"{len(cells)} cells, {REPETITIONS} repetitions; gap closed is shown from {LEAST_SEEDS_OF_A_GAP} seeds on"
    table = Table("seeds", "deviations", *(f"{name}: shown, held" for name in _STATISTICS), caption=note)
    for count in COUNTS:
        for kind, draw in draws.items():
            found = coverage(cells, count, draw)
            table.add_row(str(count), kind, *(f"{shown:.1%}, {held:.1%}" for shown, held in found.values()))
    Console().print(table)
    ladders = list(measured_ladders())
    note = f"{len(ladders)} cells, {REPETITIONS} repetitions; shown from {LEAST_SEEDS} seeds on"
    columns = ("seeds", "deviations", "speed-up says something, held", "has two ends, held")
    table = Table(*columns, caption=note)
    for count in (*COUNTS, 8):
        for kind, draw in draws.items():
            telling, held, ended, held_too = coverage_of_speed_ups(ladders, count, draw)
            table.add_row(str(count), kind, f"{telling:.1%}, {held:.1%}", f"{ended:.1%}, {held_too:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
