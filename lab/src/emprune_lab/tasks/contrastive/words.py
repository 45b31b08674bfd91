"""How reports speak of contrastive runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from emprune_lab.records.metrics import Metric
from emprune_lab.tasks.contrastive.settings import MEMORIES, METHODS, looked_at_by, method_name
from emprune_lab.tasks.wording import Wording

METRICS = (
    Metric("knn", "kNN accuracy", reading="{} % kNN accuracy"),
    Metric("linear probe", "linear probe", reading="{} % by a linear probe"),
    Metric(
        "linear probe, 10 % of labels", "linear probe on a tenth of the labels",
        reading="{} % by a linear probe on a tenth of the labels",
    ),
)  # fmt: skip
LISTED = (
    *(
        ("memory", name, f"{what.capitalize()}.", "contrastive runs: emp:memory=NAME")
        for name, what in MEMORIES.items()
    ),
    *(("method", name, "Learning without labels: --preset NAME.", source) for name, source in METHODS.items()),
)
_RETRIEVED = (
    "the part of the training set that the final model retrieves: of all views in a batch, two of each sample, the one "
    "nearest to a view is the other of its own sample (instance retrieval)"
)


def wording(recipe: Mapping[str, Any]) -> Wording:
    """The words for runs of a stored recipe."""
    settings = recipe["contrastive"]
    name, term = method_name(settings["method"]), looked_at_by(settings["memory"])
    others = 2 * recipe["batch_size"] - 1
    highest = "at most 2" if term == "alignment" else f"at most ln {others} = {math.log(others):.2f} nats"
    return Wording(
        kind="contrastive",
        method=settings["method"],
        inputs=_inputs(settings),
        unflipped=f"{name}, no labels in training",
        short=name,
        labels="none in training; only what is measured afterwards looks at them",
        remembered=_RETRIEVED,
        plainly="",
        notes=(f"remembered: {_RETRIEVED}.", "backward and forward count samples, each of which is two views."),
        paper=(
            "That memory in contrastive training is to be read from hidden layers of the base encoder is known at "
            "second hand too; the formula of that term, and the alternatives to it that a label names as memory=…, are "
            "this project’s."
        ),
        memory_term=f"the memory term “{term}”, {MEMORIES[term]}, {highest}",
        low_memory="gives both views the same" if term == "alignment" else "puts few others near it",
    )


def _inputs(settings: Mapping[str, Any]) -> str:
    """The two views of a sample, and what is made of them."""
    keys, term = "", settings["memory"]
    if settings["method"] == "moco":
        keys = f", a queue of {settings['queue']:,} keys of an encoder with momentum {settings['momentum']:g}"
    memory = MEMORIES.get(term, term)
    if term not in ("alignment", "none"):
        memory += f", temperature {settings['memory_temperature']:g}"
    return (
        f"{method_name(settings['method'])}: two augmented views of each sample, projected to {settings['projection']} "
        f"dimensions, loss at temperature {settings['temperature']:g}{keys}; memory term, where a policy needs one and "
        f"names none: {memory}"
    )
