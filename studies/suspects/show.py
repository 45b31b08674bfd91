"""What samples of the study show, for ``emprune inspect --show studies.suspects.show:fashion_mnist``."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from studies.suspects.runs import spec_of

from emprune_lab.data import LabelledData
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for, training_data


@cache
def _noisy() -> LabelledData:
    data = training_data(spec_of("emp-gated", 0))
    assert isinstance(data, LabelledData)
    return data


@cache
def _cola() -> LabelledData:
    data = training_data(RunSpec("cola", "emp-gated", 0.7, 0, recipe_for("cola")))
    assert isinstance(data, LabelledData)
    return data


def fashion_mnist(sample: int) -> NDArray[np.uint8]:
    """The image of a sample of the runs."""
    image: NDArray[np.uint8] = _noisy().inputs[sample].numpy()
    return 255 - image


def fashion_mnist_labels() -> list[str]:
    """The labels of the run with seed 0, wrong ones as "given (true)"."""
    data = _noisy()
    names, pairs = data.class_names, zip(data.labels.tolist(), data.true_labels.tolist(), strict=True)
    return [names[given] + (f" (is {names[true]})" if given != true else "") for given, true in pairs]


def cola(sample: int) -> str:
    """The sentence of a sample of CoLA."""
    return str(_cola().inputs.first[sample])


def cola_labels() -> list[str]:
    """The labels of CoLA's training set."""
    data = _cola()
    return [data.class_names[label] for label in data.labels.tolist()]
