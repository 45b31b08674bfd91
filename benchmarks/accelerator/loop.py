"""Images a second of the laboratory's own training loop, and the losses that it reaches, by mode."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch

from emprune_lab.data.images import ImageData
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Mode, Precision, Preset
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import PRESETS

CLASSES, WARM_UP = 100, 2


@dataclass(frozen=True)
class Case:
    """A loop to measure: EMP at 0.7 on images of CIFAR-100's shape, in the headline's recipe."""

    model: str
    mode: Mode
    device: str
    train_size: int
    batch_size: int
    precision: Precision
    seconds: float


class _EnoughError(Exception):
    pass


def images_per_second(case: Case, together: Any = None) -> dict[str, Any]:
    """Of each epoch after two that warm up (and compile, and capture), ends of epochs and planning included.

    Args:
        together: a barrier, at which several loops wait for one another before they are measured.
    """
    torch.set_num_threads(1)
    training = Training(_spec(case), made_images(case.train_size), case.device, mode=case.mode)
    ends: list[float] = []
    began = time.perf_counter()

    def after_step() -> None:
        if training.pruner.epoch < WARM_UP + len(ends):
            return
        if not ends and together is not None:
            together.wait()
        # The epoch before has waited for the device; a step of this one has been sent to it.
        ends.append(time.perf_counter())
        if len(ends) > 2 and ends[-1] - ends[0] > case.seconds:
            raise _EnoughError

    with contextlib.suppress(_EnoughError):
        training.epochs(after_step)
    kept = training.pruner.kept
    speeds = [kept[WARM_UP + i] / (after - before) for i, (before, after) in enumerate(itertools.pairwise(ends))]
    low, middle, high = statistics.quantiles(speeds, n=4)
    return {
        **dataclasses.asdict(case), "n": len(speeds), "images_per_second": round(middle, 1),
        "quartiles": [round(low, 1), round(high, 1)], "seconds_before": round(ends[0] - began, 2),
        "losses": [round(epoch["loss"], 4) for epoch in training.history[: WARM_UP + 1]],
    }  # fmt: skip


def preset_of(model: str) -> Preset:
    """InfoBatch's recipe for the paper's models; for others, which only rehearse, that of ResNet-18."""
    preset = PRESETS["infobatch-resnet50" if model == "resnet50" else "infobatch"]
    return dataclasses.replace(preset, recipe=dataclasses.replace(preset.recipe, model=model))


def agree(losses: list[float], plain: list[float]) -> bool:
    """Whether the first epochs' losses are the plain loop's but for rounding that training has amplified."""
    return len(losses) == len(plain) and all(abs(a - b) <= 0.03 * b for a, b in zip(losses, plain, strict=True))


def made_images(count: int) -> ImageData:
    """Images of CIFAR-100's shape that can be learnt: a coarse pattern of the class under noise."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (count,), generator=draw)
    patterns = torch.randint(0, 128, (CLASSES, 3, 4, 4), generator=draw, dtype=torch.uint8)
    coarse = patterns.repeat_interleave(8, 2).repeat_interleave(8, 3)
    images = coarse[labels] + torch.randint(0, 128, (count, 3, 32, 32), generator=draw, dtype=torch.uint8)
    return ImageData("made", images, labels, labels, images[:1], labels[:1], tuple(map(str, range(CLASSES))))


def _spec(case: Case) -> RunSpec:
    preset = preset_of(case.model)
    # The recipe's first epochs hardly train: at its small first rates a loop that does not train at all looks alike.
    recipe = dataclasses.replace(
        preset.recipe, batch_size=case.batch_size, precision=case.precision, train_size=case.train_size, div_factor=2.5
    )
    return RunSpec("cifar100", "emp", 0.7, 0, recipe, anneal=preset.anneal)
