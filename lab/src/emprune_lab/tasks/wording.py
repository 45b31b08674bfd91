"""How reports speak of runs, where tasks differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """What a report says of a task's runs; by default, of labelled data.

    Attributes:
        kind: what was trained: "labelled", "text" or "contrastive", or a new task's own word.
        inputs: what the model is given of a sample, of a recipe in words.
        unflipped: what a setting's title says of labels that are not wrong. short: likewise in a column's heading.
        labels: the fact.
        remembered: what a sample must satisfy to be remembered, as a clause. plainly: how it was looked at.
        notes: sentences under tables, on what would be misread without them.
        paper: what the report says besides on what is the paper's.
        method: of contrastive training, as recipes call it; else "".
        memory_term: that of the per-sample arrays, with its range, where it is not the prediction's entropy.
        low_memory: where that term is low, what the model does.
    """

    kind: str = "labelled"
    inputs: str = "no augmentation"
    unflipped: str = "clean labels"
    short: str = "clean"
    labels: str = "as published"
    remembered: str = "the part of the training set that the final model predicts as labelled"
    plainly: str = ", without augmentation"
    notes: tuple[str, ...] = ()
    paper: str = ""
    method: str = ""
    memory_term: str = ""
    low_memory: str = ""
