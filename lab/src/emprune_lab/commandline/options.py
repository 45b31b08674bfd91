"""Options that commands share: what is trained, where, and how lists are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from emprune.errors import ArgumentError
from emprune_lab.data import Split
from emprune_lab.runs.steps import Mode
from emprune_lab.specs.recipe import Precision, Recipe
from emprune_lab.specs.spec import Budget, RunSpec
from emprune_lab.tasks import preset_for


def _comma_list(convert: Callable[[str], Any], metavar: str) -> Any:
    """A tuple written as one argument, "0.7,0.9"."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: tuple(convert(word) for word in words[0].split(",")),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(str(item) for item in value)],
    )


Names = Annotated[tuple[str, ...], _comma_list(str, "NAME,NAME")]
Fractions = Annotated[tuple[float, ...], _comma_list(float, "X,X")]


@dataclass(frozen=True)
class Setting:
    """What is trained, and where."""

    data: str = "digits"
    """Data set: digits, fashion-mnist, cifar10, cifar100; of GLUE cola, mrpc, rte, sst-2; tinyshakespeare, or text."""
    preset: str | None = None
    """Recipe: cpu, infobatch, infobatch-resnet50, without labels simclr, moco or simclr-resnet18, of text bpe-gpt,
    char-gpt or mlm-bert, or the name of a data set; else the data set's own."""
    data_dir: str | None = None
    """Folder with its files, of text also a file; else EMPRUNE_DATA, else where Debian installs them."""
    model: str | None = None
    """Of images mlp, cnn, resnet8-slim, resnet10-slim, resnet10-thin, resnet18, resnet50; of GLUE minilm, or an
    encoder's folder or hub name; of text gpt-LxW or bert-LxW, layers and width."""
    epochs: int | None = None
    """Epochs of a full run; else the preset's. Likewise the next eight."""
    batch_size: int | None = None
    max_lr: float | None = None
    train_size: int | None = None
    shift: int | None = None
    window: int | None = None
    dropout: float | None = None
    vocabulary: str | None = None
    precision: Precision | None = None
    imbalance: float = 1.0
    """Largest class of the training set over its smallest, exponential profile; 1 leaves the classes as they are."""
    budget: Budget = "epoch"
    """Whether the rate is that of the pruned epochs or of the whole run, annealing counted."""
    split: Split = "test"
    """What to evaluate on; choose settings on the validation split, never on the test set."""
    device: str = "cpu"
    mode: Mode = "plain"
    """How steps are executed: as they come, through torch.compile, or as a CUDA graph (images; else as they come)."""
    threads: int = 1
    """Threads of a process; results repeat to the last digit for the same number on the same machine."""
    json: bool = False
    """Print the results as JSON on standard output."""

    def template(self) -> RunSpec:
        """A spec with all but policy, rate, seed, label noise and annealing."""
        preset = preset_for(self.data, self.preset)
        recipe = preset.recipe.changed(**self._overrides(preset.recipe))
        recipe = recipe.changed(task=recipe.task.identified(self.data, self.data_dir))
        return RunSpec(
            self.data, "full", 0.0, 0, recipe, split=self.split, budget=self.budget, imbalance=self.imbalance,
            anneal=preset.anneal, data_dir=self.data_dir,
        )  # fmt: skip

    def _overrides(self, recipe: Recipe) -> dict[str, Any]:
        """What is given in place of the preset's. Raises ArgumentError where it means nothing for the data."""
        names = (
            "model", "epochs", "batch_size", "max_lr", "train_size", "shift", "window", "dropout", "vocabulary",
            "precision",
        )  # fmt: skip
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        for name, value in given.items():
            if not recipe.knows(name):
                raise ArgumentError(name, value, f"left out: it means nothing for {self.data}")
        return given
