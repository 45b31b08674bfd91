"""A recipe in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emprune_lab.records.results import Result
from emprune_lab.reporting.settings import full_recipe
from emprune_lab.reporting.wording import method_name
from emprune_lab.specs.contrastive import MEMORIES

_OPTIMIZERS = {"sgd": "SGD", "lars": "LARS", "adamw": "AdamW"}
_WITHOUT_TEMPERATURE = ("alignment", "none")


def recipe_in_words(result: Result) -> str:
    """How a run was trained, in half a sentence."""
    recipe = full_recipe(result)
    nesterov = "Nesterov " if recipe["nesterov"] and recipe["optimizer"] == "sgd" else ""
    momentum = "β₁" if recipe["optimizer"] == "adamw" else f"{nesterov}momentum"
    rise = f"up in {100 * recipe['pct_start']:g} % of the steps"
    schedule = "OneCycle" if recipe["schedule"] == "onecycle" else f"linear schedule, {rise},"
    smoothed = [f"label smoothing {recipe['label_smoothing']:g}"] if _has_labels(recipe) else []
    clipped = [f"gradients clipped to a norm of {recipe['clip_norm']:g}"] if recipe["clip_norm"] is not None else []
    more = [*smoothed, *clipped, _inputs(recipe)]
    more += [] if recipe["precision"] == "float32" else [f"{recipe['precision']} autocast"]
    return (
        f"{recipe['epochs']} epochs, batches of {recipe['batch_size']}, {_OPTIMIZERS[recipe['optimizer']]} with "
        f"{momentum} {recipe['momentum']:g}, {schedule} up to a learning rate of {recipe['max_lr']:g}, weight decay "
        f"{recipe['weight_decay']:g}, {', '.join(more)}"
    )


def _has_labels(recipe: Mapping[str, Any]) -> bool:
    return not recipe["contrastive"] and not recipe["vocabulary"]


def _inputs(recipe: Mapping[str, Any]) -> str:
    """What the model is given of a sample, and what it makes of two views."""
    if recipe["contrastive"]:
        return _contrastive(recipe["contrastive"])
    if recipe["vocabulary"]:
        return f"windows of {recipe['window']} tokens ({recipe['vocabulary']}), dropout {recipe['dropout']:g}"
    if recipe["window"]:
        return f"at most {recipe['window']} tokens a sample, dropout {recipe['dropout']:g}"
    return f"shifted by up to {recipe['shift']} pixels and mirrored" if recipe["shift"] else "no augmentation"


def _contrastive(settings: Mapping[str, Any]) -> str:
    method = settings["method"]
    keys = (
        f", a queue of {settings['queue']:,} keys of an encoder with momentum {settings['momentum']:g}"
        if method == "moco"
        else ""
    )
    name = settings["memory"]
    memory = MEMORIES.get(name, name) + (
        f", temperature {settings['memory_temperature']:g}" if name not in _WITHOUT_TEMPERATURE else ""
    )
    return (
        f"{method_name(method)}: two augmented views of each sample, projected to {settings['projection']} "
        f"dimensions, loss at temperature {settings['temperature']:g}{keys}; memory term, where a policy needs one and "
        f"names none: {memory}"
    )
