"""The commands as typed dataclasses; their fields are the options.

What they do stands in :mod:`emprune_lab.commandline.work`, imported after the options are read: it imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from emprune_lab.commandline.options import Fractions, FractionsOrNone, Names, Publication, Setting, listed, seed_range

if TYPE_CHECKING:
    from emprune_lab.specs.spec import RunSpec


@dataclass(frozen=True)
class Compare:
    """Train every policy at every rate and seed on equal sample budgets; write table, figures and report."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = field(default_factory=Setting)
    policies: Names = ("full", "short", "random", "lfl", "infobatch", "emp")
    """Policies, with settings behind colons: full,random,emp:beta=2:rule=top (see `emprune methods`); ladder is plain
    training in 1/16, 1/8, 1/4, 1/2 and all of the full run, from which speed-ups are read."""
    prune_rates: Fractions = (0.7, 0.9)
    """Fractions left out."""
    seeds: int = 5
    """How many seeds."""
    first_seed: int = 0
    label_noise: Fractions = (0.0,)
    """Fractions of wrong training labels, each a comparison of its own."""
    anneal: FractionsOrNone = None
    """Fractions of the epochs, at the end, that use all the data, likewise; else the preset's."""
    out: Path = Path("runs/compare")
    """Folder of the results; a second call goes on where the first stopped."""
    jobs: int | None = None
    """Runs at the same time; else one for each core, or one on a device."""
    budget_minutes: float | None = None
    """Stop in time, with everything saved; the same command goes on."""
    publication: Annotated[Publication, tyro.conf.arg(name="")] = field(default_factory=Publication)

    def announced(self) -> str:
        """What will be done, before it is known to be possible."""
        rates, seeds = listed(self.prune_rates), f"{self.seeds} seed{'s' if self.seeds != 1 else ''}"
        return f"Comparing {listed(self.policies)} on {self.setting.data}, prune rates {rates}, {seeds}: {self.out}"

    def __call__(self, console: Console, command: str) -> int:
        from emprune_lab.commandline.work import carry_out

        return carry_out(
            self.specs(), self.out, self.setting, self.publication, console, command,
            jobs=self.jobs, budget_minutes=self.budget_minutes,
        )  # fmt: skip

    def specs(self) -> list[RunSpec]:
        """Every run, seed by seed."""
        from emprune_lab.runs import compare

        seeds = seed_range(self.first_seed, self.seeds)
        template = self.setting.template()
        anneals = self.anneal or (template.anneal,)
        return compare.grid(template, self.policies, self.prune_rates, seeds, self.label_noise, anneals)


@dataclass(frozen=True)
class Train:
    """Train one policy at one rate."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = field(default_factory=Setting)
    policy: str = "emp"
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

        return train(self, console, command)

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

        return report(self, console)


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
