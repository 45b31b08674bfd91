"""What runs cost: samples, steps and seconds, and which policies may be ranked against each other."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from emprune.errors import ArgumentError
from emprune.policies import get_policy
from emprune_lab.records.results import Result
from emprune_lab.report.settings import Setting
from emprune_lab.specs.own import is_own
from emprune_lab.specs.spec import OWN_RATE, SHORT, rate_of

FULL, RANDOM = "full", "random"
PLAIN = (FULL, SHORT)
"""Plain training on all the data, for all epochs of the recipe or for fewer."""


@dataclass(frozen=True)
class Cost:
    """What one policy at one rate took, means over its seeds.

    Attributes:
        realised_rate: fraction of the samples of a full run that were not trained.
        samples_forward: forward passes, those that only score or choose included.
        samples_backward: samples trained.
        optimizer_steps: in how many steps.
        samples_backward_scoring: samples that the run behind a static score trained before, which come on top.
        train, score, select: wall-clock seconds.
        speed_up: seconds of ``full`` over this one's, higher means faster; None for ``full`` itself, without a run
            of it, and where the runs were not all on one machine.
        efficiency: the speed-up over that of the samples, samples_backward of ``full`` over this one's; 1: all that
            pruning spares is gained, choosing the samples is free. None where the speed-up is.
        overhead: seconds a trained sample over those of plain training, each of its fastest run, which other work on
            the machine has disturbed least; rather too high, where that run was disturbed too, and at least 1, since
            no policy makes a step cheaper. None where plain training was not run on the same machine.
        machines: those that the runs were on.
    """

    realised_rate: float
    samples_forward: int
    samples_backward: int
    samples_backward_scoring: int
    optimizer_steps: int
    train: float
    score: float
    select: float
    speed_up: float | None
    efficiency: float | None
    overhead: float | None
    machines: frozenset[str]

    @property
    def samples_trained(self) -> int:
        """All samples that went through backward, those of a static score's run included."""
        return self.samples_backward + self.samples_backward_scoring

    @property
    def seconds(self) -> float:
        """Seconds of training, scoring and selecting; evaluation is no part of a method's cost."""
        return self.train + self.score + self.select


def cost_of(runs: Sequence[Result], full: Sequence[Result], plain: Sequence[Result] = ()) -> Cost:
    """The cost of one policy's runs, beside those of ``full`` in the same setting.

    Args:
        runs: at least one.
        full: runs of ``full``; empty for ``full`` itself.
        plain: all runs of plain training.
    """
    seconds, samples = _seconds_by_kind(runs), _average(run.samples_backward for run in runs)
    machines = frozenset(run.device for run in runs)
    speed_up = efficiency = None
    if full and len(machines | {run.device for run in full}) == 1 and sum(seconds.values()) > 0:
        speed_up = seconds_of(full) / seconds_of(runs)
        efficiency = speed_up / (_average(run.samples_backward for run in full) / samples)
    return Cost(
        realised_rate=_average(run.realised_rate for run in runs),
        samples_forward=round(_average(run.samples_forward for run in runs)),
        samples_backward=round(samples),
        samples_backward_scoring=round(_average(run.samples_backward_scoring for run in runs)),
        optimizer_steps=round(_average(run.optimizer_steps for run in runs)),
        **seconds,
        speed_up=speed_up,
        efficiency=efficiency,
        overhead=_overhead(runs, plain),
        machines=machines,
    )


@functools.cache
def own_budget(policy: str) -> bool:
    """Whether a policy decides by the scores how many samples it trains, and so cannot be ranked at one rate.

    Args:
        policy: a label, with or without settings; one that is not registered has no budget of its own.

    >>> own_budget("infobatch-published"), own_budget("infobatch"), own_budget("full"), own_budget("emp:rate=auto")
    (True, False, False, True)
    """
    try:
        if rate_of(policy) == OWN_RATE:
            return True
        return get_policy(policy.split(":")[0]).epoch_size(1000, 300) is None
    except ArgumentError:
        return False


def check_budgets(results: Iterable[Result]) -> None:
    """Make sure that accuracies ranked at one rate were paid for with the same number of samples.

    ``full`` is the reference with more, and policies with a budget of their own are not ranked: both are left out. So
    are runs of a user's function, whose loader may drop last batches; what they trained stands in the table.

    Raises:
        ArgumentError: two runs of one setting and rate trained different numbers of samples; names both.
    """
    first: dict[tuple[Setting, float], Result] = {}
    for run in results:
        if run.policy == FULL or own_budget(run.policy) or is_own(run.recipe):
            continue
        other = first.setdefault((Setting.of(run), run.prune_rate), run)
        if run.samples_backward != other.samples_backward:
            raise ArgumentError(
                f"samples_backward of {run.policy} (seed {run.seed}) at prune rate {run.prune_rate:g}",
                run.samples_backward,
                f"{other.samples_backward}, as {other.policy} (seed {other.seed}) trained at that rate",
                "Runs of different budgets cannot be ranked against each other: leave one of the two out, or train "
                "both for the same number of epochs.",
            )


def seconds_of(runs: Sequence[Result]) -> float:
    """Mean seconds of training, scoring and selecting."""
    return sum(_seconds_by_kind(runs).values())


def _seconds_by_kind(runs: Sequence[Result]) -> dict[str, float]:
    """Mean seconds of each kind; older results have no scoring."""
    return {name: _average(run.seconds.get(name, 0.0) for run in runs) for name in ("train", "score", "select")}


def _overhead(runs: Sequence[Result], plain: Sequence[Result]) -> float | None:
    """As in :class:`Cost`."""
    if not plain or len({run.device for run in (*runs, *plain)}) != 1:
        return None
    own, least = min(map(_pace, runs)), min(map(_pace, plain))
    return max(own / least, 1.0) if least > 0 else None


def _pace(run: Result) -> float:
    """Seconds a sample that went through backward, scoring runs included."""
    return seconds_of([run]) / (run.samples_backward + run.samples_backward_scoring)


def _average(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
