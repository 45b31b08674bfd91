"""Options that commands share: what is trained, where, how it is reported, and how lists are written.

They are read before torch is imported, so that help and mistakes of spelling do not wait for it: what needs torch is
imported where it is used, and choices are written out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from emprune.errors import ArgumentError
from emprune_lab.specs.recipe import Mode, Precision, Recipe

if TYPE_CHECKING:
    from emprune_lab.specs.spec import RunSpec


def _comma_list(convert: Callable[[str], Any], metavar: str) -> Any:
    """A tuple written as one argument, "0.7,0.9"; or None, where the default is."""

    def read(words: list[str]) -> tuple[Any, ...]:
        meant = ",".join(part.strip() for word in words for part in word.split(",") if part.strip())
        if not meant or [word.replace(" ", "") for word in words] != [meant.replace(" ", "")]:
            raise ValueError(f"a list is one argument, without spaces: {meant or metavar}")
        return tuple(convert(part) for part in meant.split(","))

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, tuple),
        str_from_instance=lambda value: [str(value) if value is None else ",".join(str(item) for item in value)],
    )


Names = Annotated[tuple[str, ...], _comma_list(str, "NAME,NAME")]
NamesOrNone = Annotated[tuple[str, ...] | None, _comma_list(str, "NAME,NAME")]
Fractions = Annotated[tuple[float, ...], _comma_list(float, "X,X")]
FractionsOrNone = Annotated[tuple[float, ...] | None, _comma_list(float, "X,X")]


@dataclass(frozen=True)
class Setting:
    """What is trained, and where."""

    data: str = "digits"
    """Data set: digits, fashion-mnist, cifar100, cola, tinyshakespeare and others; `emprune methods` lists all."""
    preset: str | None = None
    """Recipe, one of those that `emprune methods` lists; else the data set's own."""
    data_dir: str | None = None
    """Folder with its files, of text also a file; else EMPRUNE_DATA, else where Debian installs them."""
    model: str | None = None
    """Of images mlp, cnn, resnet8-slim, resnet10-slim, resnet10-thin, resnet18, resnet50; of GLUE minilm, or an
    encoder's folder or hub name; of text gpt-LxW or bert-LxW, layers and width."""
    epochs: int | None = None
    """Epochs of a full run; else, as of the next seven, the preset's."""
    batch_size: int | None = None
    """Samples a step."""
    max_lr: float | None = None
    """Highest learning rate."""
    train_size: int | None = None
    """Train on the first so many samples."""
    shift: int | None = None
    """Of images: augment by shifts of up to so many pixels, and flips."""
    window: int | None = None
    """Of text: tokens a sample."""
    dropout: float | None = None
    """Of text and sentences: in [0, 1)."""
    vocabulary: str | None = None
    """Of text: characters, or bpe and a number of tokens, bpe2048."""
    precision: Precision | None = None
    """Of the model's forward and backward pass; else the preset's, and float32 where the device has no instructions
    for bfloat16."""
    imbalance: float = 1.0
    """Largest class of the training set over its smallest, exponential profile; 1 leaves the classes as they are."""
    budget: Literal["epoch", "run"] = "epoch"
    """Whether the rate is that of the pruned epochs or of the whole run, annealing counted."""
    split: Literal["test", "validation"] = "test"
    """What to evaluate on; choose settings on the validation split, never on the test set."""
    device: str = "cpu"
    mode: Mode = "plain"
    """How steps are executed: as they come, through torch.compile, or as a CUDA graph (images; else as they come)."""
    threads: int | None = None
    """Threads of a process, else 1; results repeat to the last digit for the same number on the same machine. With
    --train else what torch takes, shared among the jobs."""
    json: bool = False
    """Print the results as JSON on standard output."""

    def template(self) -> RunSpec:
        """A spec with all but policy, rate, seed, label noise and annealing.

        Raises:
            ArgumentError: an option is out of range, or means nothing for the data.
        """
        check_least(1, epochs=self.epochs, batch_size=self.batch_size, threads=self.threads)
        check_least(0, shift=self.shift)
        from emprune_lab.runs.devices import check_device, does_natively
        from emprune_lab.specs.spec import RunSpec
        from emprune_lab.tasks import preset_for

        check_device(self.device)
        preset = preset_for(self.data, self.preset)
        recipe = preset.recipe.changed(**self._overrides(preset.recipe))
        if self.precision is None and not does_natively(recipe.precision, self.device):
            recipe = recipe.changed(precision="float32")
        recipe = recipe.changed(task=recipe.task.identified(self.data, self.data_dir))
        return RunSpec(
            self.data, "full", 0.0, 0, recipe, split=self.split, budget=self.budget, imbalance=self.imbalance,
            anneal=preset.anneal, data_dir=self.data_dir,
        )  # fmt: skip

    @property
    def run_options(self) -> dict[str, Any]:
        """Where runs train, as :func:`emprune_lab.runs.compare.train` takes it."""
        return {"device": self.device, "mode": self.mode, "threads": self.threads or 1}

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


_ALSO_WITH_TRAIN = ("budget", "threads", "json")


@dataclass(frozen=True)
class OwnFunction:
    """A function of the user's, in place of a data set and a preset."""

    train: str | None = None
    """Compare on your own data and model: module:function, or file.py:function, of (pruner, seed), which trains and
    returns a number or a dict of numbers (docs/own-data.md). In place of --data, --preset and what they decide."""
    num_samples: int | None = None
    """With --train: length of the training set; else the function's attribute num_samples."""
    num_epochs: int | None = None
    """With --train: epochs of a full run; else the function's attribute num_epochs."""
    metric: str | None = None
    """With --train: which of the numbers returned heads the comparison; else the first."""
    lower_is_better: bool = False
    """With --train: the metric is one of which less is better, such as a loss."""

    def check(self, setting: Setting) -> None:
        """Raise ArgumentError where an option means nothing here."""
        if self.train is None:
            for name, default in OwnFunction().__dict__.items():
                if (value := getattr(self, name)) != default:
                    raise ArgumentError(name, value, "left out without --train, a function of your own")
            return
        check_least(1, num_samples=self.num_samples, num_epochs=self.num_epochs, threads=setting.threads)
        for name, default in Setting().__dict__.items():
            if name not in _ALSO_WITH_TRAIN and (value := getattr(setting, name)) != default:
                raise ArgumentError(name, value, "left out with --train, whose function decides it")


@dataclass(frozen=True)
class Publication:
    """How a comparison is put into tables and figures."""

    reference: str = "random"
    """Policy that all others are compared with, paired by seed."""
    show: str | None = None
    """What a sample shows, in the report: module:function or file.py:function, from an id to an image or text, as of
    `emprune inspect`; else what data of the laboratory show."""

    def shown(self) -> Callable[[int], Any] | None:
        """The function. Raises ArgumentError or DataError where it cannot be had."""
        if self.show is None:
            return None
        from emprune_lab.inspection.functions import load_function

        return load_function("show", self.show)


def check_least(least: int, **values: int | None) -> None:
    """Raise ArgumentError where an option that is given is below ``least``."""
    for name, value in values.items():
        if value is not None and value < least:
            raise ArgumentError(name, value, f"an integer of at least {least}")


def seed_range(first: int, count: int) -> range:
    """``count`` seeds from ``first`` on. Raises ArgumentError where there is none."""
    check_least(1, seeds=count)
    return range(first, first + count)


def listed(values: Iterable[object]) -> str:
    """As a person lists them.

    >>> listed(["full", "random", 3])
    'full, random and 3'
    """
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
