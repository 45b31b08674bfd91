"""A recipe in words."""

from __future__ import annotations

from emprune_lab.records.results import Result
from emprune_lab.tasks import completed, wording_of

_OPTIMIZERS = {"sgd": "SGD", "lars": "LARS", "adamw": "AdamW"}


def recipe_in_words(result: Result) -> str:
    """How a run was trained, in half a sentence."""
    recipe, wording = completed(result.data, result.recipe), wording_of(result.data, result.recipe)
    nesterov = "Nesterov " if recipe["nesterov"] and recipe["optimizer"] == "sgd" else ""
    momentum = "β₁" if recipe["optimizer"] == "adamw" else f"{nesterov}momentum"
    rise = f"up in {100 * recipe['pct_start']:g} % of the steps"
    schedule = "OneCycle" if recipe["schedule"] == "onecycle" else f"linear schedule, {rise},"
    smoothed = [f"label smoothing {recipe['label_smoothing']:g}"] if wording.kind == "labelled" else []
    clipped = [f"gradients clipped to a norm of {recipe['clip_norm']:g}"] if recipe["clip_norm"] is not None else []
    more = [*smoothed, *clipped, wording.inputs]
    more += [] if recipe["precision"] == "float32" else [f"{recipe['precision']} autocast"]
    return (
        f"{recipe['epochs']} epochs, batches of {recipe['batch_size']}, {_OPTIMIZERS[recipe['optimizer']]} with "
        f"{momentum} {recipe['momentum']:g}, {schedule} up to a learning rate of {recipe['max_lr']:g}, weight decay "
        f"{recipe['weight_decay']:g}, {', '.join(more)}"
    )
