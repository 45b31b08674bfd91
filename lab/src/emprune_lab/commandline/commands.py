"""The commands as typed dataclasses; their fields are the options.

What they do stands in :mod:`emprune_lab.commandline.work`, imported after the options are read: it imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from emprune.errors import ArgumentError
from emprune_lab.commandline.options import (
    Fractions,
    FractionsOrNone,
    NamesOrNone,
    OwnFunction,
    Publication,
    Setting,
    listed,
    seed_range,
)

if TYPE_CHECKING:
    from emprune_lab.specs.spec import RunSpec

POLICIES, PRUNE_RATES, SEEDS = ("full", "short", "random", "lfl", "infobatch", "emp", "emp-gated"), (0.7, 0.9), 5
OWN_POLICIES, OWN_PRUNE_RATES, OWN_SEEDS = ("ladder", "random", "emp-gated"), (0.5, 0.7), 3
"""What a comparison on the user's own data trains unless it is told: what answers his question, and no more."""


@dataclass(frozen=True)
class Compare:
    """Train every policy at every rate and seed on equal sample budgets; write table, figures and report."""

    own: Annotated[OwnFunction, tyro.conf.arg(name="")] = field(default_factory=OwnFunction)
    setting: Annotated[Setting, tyro.conf.arg(name="")] = field(default_factory=Setting)
    policies: NamesOrNone = None
    """Policies, with settings behind colons: full,random,emp:beta=2:rule=top (see `emprune methods`); ladder is plain
    training in 1/16, 1/8, 1/4, 1/2 and all of the full run, from which speed-ups are read. With emp:rate=auto the rate
    follows the scores, with emp:rate=auto-target within the samples that all others train. Else
    full,short,random,lfl,infobatch,emp,emp-gated, and with --train ladder,random,emp-gated."""
    prune_rates: FractionsOrNone = None
    """Fractions left out; else 0.7,0.9, and with --train 0.5,0.7."""
    seeds: int | None = None
    """How many seeds; else 5, and with --train 3."""
    first_seed: int = 0
    label_noise: Fractions = (0.0,)
    """Fractions of wrong training labels, each a comparison of its own."""
    anneal: FractionsOrNone = None
    """Fractions of the epochs, at the end, that use all the data, likewise; else the preset's."""
    out: Path = Path("runs/compare")
    """Folder of the results; a second call goes on where the first stopped."""
    jobs: int | None = None
    """Runs at the same time; else one for each core, or one on a device and with --train."""
    budget_minutes: float | None = None
    """Stop in time, with everything saved, or with --train what is finished; the same command goes on."""
    publication: Annotated[Publication, tyro.conf.arg(name="")] = field(default_factory=Publication)

    def announced(self) -> str:
        """What will be done, before it is known to be possible."""
        policies, prune_rates, count = self.asked
        what, seeds = self.own.train or self.setting.data, f"{count} seed{'s' if count != 1 else ''}"
        return f"Comparing {listed(policies)} on {what}, prune rates {listed(prune_rates)}, {seeds}: {self.out}"

    @property
    def asked(self) -> tuple[tuple[str, ...], tuple[float, ...], int]:
        """Policies, prune rates and number of seeds, as given or else as the options say."""
        own = self.own.train is not None
        policies = self.policies or (OWN_POLICIES if own else POLICIES)
        prune_rates = self.prune_rates or (OWN_PRUNE_RATES if own else PRUNE_RATES)
        return policies, prune_rates, (OWN_SEEDS if own else SEEDS) if self.seeds is None else self.seeds

    def __call__(self, console: Console, command: str) -> int:
        from emprune_lab.commandline.kinds import LabRuns
        from emprune_lab.commandline.work import carry_out

        self.own.check(self.setting)
        if self.own.train is not None:
            return self._own(console, command)
        carry_out(
            self.specs(), self.out, LabRuns(self.setting), self.publication, console, command,
            jobs=self.jobs, budget_minutes=self.budget_minutes, as_json=self.setting.json,
            data_dir=self.setting.data_dir,
        )  # fmt: skip
        return 0

    def specs(self) -> list[RunSpec]:
        """Every run, seed by seed."""
        from emprune_lab.runs import compare

        policies, prune_rates, count = self.asked
        template, seeds = self.setting.template(), seed_range(self.first_seed, count)
        anneals = self.anneal or (template.anneal,)
        return compare.grid(template, policies, prune_rates, seeds, self.label_noise, anneals)

    def _own(self, console: Console, command: str) -> int:
        """The same with the user's function."""
        from emprune_lab.commandline.own import OwnRuns, own_specs
        from emprune_lab.commandline.work import carry_out
        from emprune_lab.runs.own.function import load_function
        from emprune_lab.runs.own.measure import Measure

        if self.label_noise != (0.0,):
            raise ArgumentError("label_noise", self.label_noise, "left out with --train, whose function decides it")
        function, (policies, prune_rates, count) = load_function(self.own.train or ""), self.asked
        specs = own_specs(
            function, policies, prune_rates, seed_range(self.first_seed, count), self.anneal or (0.0,),
            num_samples=self.own.num_samples, num_epochs=self.own.num_epochs, budget=self.setting.budget,
        )  # fmt: skip
        runs = OwnRuns(function, Measure(self.own.metric, self.own.lower_is_better), self.setting.threads)
        carry_out(
            specs, self.out, runs, self.publication, console, command, jobs=self.jobs,
            budget_minutes=self.budget_minutes, as_json=self.setting.json,
        )  # fmt: skip
        return 0


@dataclass(frozen=True)
class Train:
    """Train one policy at one rate."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = field(default_factory=Setting)
    policy: str = "emp-gated"
    """A policy, with settings behind colons: emp:beta=2 (see `emprune methods`)."""
    prune_rate: float = 0.7
    """Fraction left out."""
    seed: int = 0
    label_noise: float = 0.0
    """Fraction of wrong training labels."""
    anneal: float | None = None
    """Fraction of the epochs, at the end, that use all the data; else the preset's."""
    out: Path = Path("runs/train")
    """Folder of the result; a second call goes on where the first stopped."""

    def announced(self) -> str:
        """As of :meth:`Compare.announced`."""
        how = f"prune rate {self.prune_rate:g}, seed {self.seed}"
        return f"Training {self.policy} on {self.setting.data}, {how}: {self.out}"

    def __call__(self, console: Console, command: str) -> int:
        from emprune_lab.commandline.work import train

        return train(self.spec(), self.setting, self.out, console, command)

    def spec(self) -> RunSpec:
        """The run."""
        from emprune_lab.runs import compare
        from emprune_lab.specs.spec import build_policy

        build_policy(self.policy)  # a label that stands for several runs is refused
        template = self.setting.template()
        anneal = template.anneal if self.anneal is None else self.anneal
        [spec] = compare.grid(template, [self.policy], [self.prune_rate], [self.seed], [self.label_noise], [anneal])
        return spec


@dataclass(frozen=True)
class Report:
    """Write table, figures and report.html from finished runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of finished runs, folders that hold such folders, or one with a comparison's results.json alone."""
    out: Path = Path("runs/report")
    """Folder of the report."""
    data_dir: str | None = None
    """Folder of the data set's files, for the contact sheets."""
    publication: Annotated[Publication, tyro.conf.arg(name="")] = field(default_factory=Publication)
    json: bool = False
    """Print the results as JSON on standard output."""

    def announced(self) -> str:
        """Nothing: the tables, which come first, say what was reported."""
        return ""

    def __call__(self, console: Console, command: str) -> int:
        from emprune_lab.commandline.work import report

        return report(self.runs, self.out, self.publication, console, as_json=self.json, data_dir=self.data_dir)


@dataclass(frozen=True)
class Methods:
    """List every policy, rule, score, data set and preset with its source."""

    def announced(self) -> str:
        """Nothing."""
        return ""

    def __call__(self, console: Console, command: str) -> int:
        from emprune_lab.commandline.methods import table_of_methods

        console.print(table_of_methods())
        return 0
