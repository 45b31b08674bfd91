"""The paper's experiment as one command: CIFAR-100, ResNet-18 and ResNet-50, every policy, on any device, in slices."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from emprune.errors import ArgumentError
from emprune_lab.commandline.options import Fractions, Names, Publication, Setting, listed, seed_range
from emprune_lab.specs.recipe import Mode, Precision

if TYPE_CHECKING:
    from emprune_lab.specs.spec import RunSpec

PRESET_OF = {"resnet18": "infobatch", "resnet50": "infobatch-resnet50"}
"""The recipe of each of the paper's models."""


@dataclass(frozen=True)
class Headline:
    """The paper's experiment: CIFAR-100, ResNet-18 and ResNet-50, resumable run by run and in mid-run."""

    data_dir: str | None = None
    """Folder with the data set's files; else EMPRUNE_DATA."""
    models: Names = ("resnet18", "resnet50")
    prune_rates: Fractions = (0.7, 0.9, 0.5)
    """Fractions left out, the most important first."""
    policies: Names = (
        "emp", "infobatch", "random", "full", "short", "rs2", "lfl", "ucb", "orderdp", "repb", "divbs",
    )  # fmt: skip
    """Likewise."""
    seeds: int = 1
    """How many seeds; the first one is finished before the next begins."""
    first_seed: int = 0
    epochs: int | None = None
    """Epochs of a full run, a stated shorter recipe; else 200."""
    train_size: int | None = None
    """Train on the first so many samples; else all."""
    batch_size: int | None = None
    precision: Precision | None = None
    """Else bfloat16, and float32 where the device has no instructions for that."""
    device: str | None = None
    """Else the accelerator if there is one, and the CPU otherwise."""
    mode: Mode = "plain"
    """How steps are executed: as they come, through torch.compile, or as a CUDA graph of the full batches."""
    threads: int = 1
    jobs: int | None = None
    """Runs at the same time; else one for each core, or one on a device."""
    budget_minutes: float | None = None
    """Stop in time, with everything saved; the same command goes on."""
    out: Path = Path("runs/headline")
    """Folder of the results; results.json alone is enough to go on from finished runs."""
    publication: Annotated[Publication, tyro.conf.arg(name="")] = field(default_factory=Publication)
    json: bool = False
    """Print the results as JSON on standard output."""

    def announced(self) -> str:
        """As of :meth:`emprune_lab.commandline.commands.Compare.announced`."""
        return f"Comparing {listed(self.policies)} on cifar100, {listed(self.models)}: {self.out}"

    def __call__(self, console: Console, command: str) -> int:
        from emprune_lab.commandline.work import LabRuns, carry_out

        carry_out(
            self.specs(), self.out, LabRuns(self.setting(self.models[0])), self.publication, console, command,
            jobs=self.jobs, budget_minutes=self.budget_minutes, as_json=self.json,
            data_dir=self.data_dir,
        )  # fmt: skip
        return 0

    def setting(self, model: str) -> Setting:
        """The setting of one model's runs.

        Raises:
            ArgumentError: the paper has no recipe for the model.
        """
        if model not in PRESET_OF:
            raise ArgumentError("models", model, f"among {', '.join(PRESET_OF)}")
        import torch

        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        return Setting(
            data="cifar100", data_dir=self.data_dir, preset=PRESET_OF[model], epochs=self.epochs,
            batch_size=self.batch_size, train_size=self.train_size, precision=self.precision, device=device,
            mode=self.mode, threads=self.threads, json=self.json,
        )  # fmt: skip

    def specs(self) -> list[RunSpec]:
        """Every run, in the order in which they are worth having: by seed, model, rate and policy."""
        from emprune_lab.runs import compare

        ordered = []
        for seed in seed_range(self.first_seed, self.seeds):
            for model in self.models:
                template = self.setting(model).template()
                grid = compare.grid(template, self.policies, self.prune_rates, [seed], [0.0], [template.anneal])
                ordered += sorted(grid, key=lambda spec: self._place(spec.prune_rate))
        return ordered

    def _place(self, prune_rate: float) -> int:
        """Position of a rate; full data, which has none, goes with the first."""
        return self.prune_rates.index(prune_rate) if prune_rate in self.prune_rates else 0
