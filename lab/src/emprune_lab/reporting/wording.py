"""How reports speak of runs: of labelled data, of text that is its own target, of contrastive training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emprune_lab.specs.contrastive import METHODS

Kind = Literal["labelled", "text", "contrastive"]


@dataclass(frozen=True)
class Wording:
    """What a report says of the runs of one kind, where the kinds differ.

    Attributes:
        kind: what was trained. method: of contrastive training, as recipes call it; else "".
        unflipped: what a setting's title says of labels that are not wrong. short: likewise in a column's heading.
        labels: the fact.
        remembered: what a sample must satisfy to be remembered, as a clause. plainly: how it was looked at.
        notes: sentences under tables, on what would be misread without them.
        paper: what the report says besides on what is the paper's.
    """

    kind: Kind
    unflipped: str
    short: str
    labels: str
    remembered: str
    plainly: str
    notes: tuple[str, ...] = ()
    paper: str = ""
    method: str = ""


LABELLED = Wording(
    kind="labelled",
    unflipped="clean labels",
    short="clean",
    labels="as published",
    remembered="the part of the training set that the final model predicts as labelled",
    plainly=", without augmentation",
)

_TOKENS = "the part of a sample’s tokens that the final model predicts right, mean over the training set"
TEXT = Wording(
    kind="text",
    unflipped="no labels",
    short="",
    labels="none: a sample’s targets are its own tokens",
    remembered=_TOKENS,
    plainly=", nothing dropped",
    notes=(f"remembered: {_TOKENS}.",),
)

_RETRIEVED = (
    "the part of the training set that the final model retrieves: of all views in a batch, two of each sample, the one "
    "nearest to a view is the other of its own sample (instance retrieval)"
)
_OURS_IN_SSL = (
    "That memory in contrastive training is to be read from hidden layers of the base encoder is known at second hand "
    "too; the formula of that term, and the alternatives to it that a label names as memory=…, are this project’s."
)


def wording_of(recipe: Mapping[str, Any]) -> Wording:
    """The words for runs of a recipe, whose "contrastive" entry is missing or None where labels are trained on."""
    if contrastive := recipe.get("contrastive"):
        return _contrastive(str(contrastive["method"]))
    return TEXT if recipe.get("vocabulary") else LABELLED


def method_name(method: str) -> str:
    """A contrastive method, as reports call it.

    >>> method_name("moco")
    'MoCo v2'
    """
    return METHODS.get(method, method).partition(" (")[0]


def _contrastive(method: str) -> Wording:
    name = method_name(method)
    return Wording(
        kind="contrastive",
        method=method,
        unflipped=f"{name}, no labels in training",
        short=name,
        labels="none in training; only what is measured afterwards looks at them",
        remembered=_RETRIEVED,
        plainly="",
        notes=(f"remembered: {_RETRIEVED}.", "backward and forward count samples, each of which is two views."),
        paper=_OURS_IN_SSL,
    )
