"""Settings: what runs must share to stand in one table, and how reports name them so that no two read alike."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from emprune_lab.records.results import Result
from emprune_lab.tasks import Wording, completed, wording_of


@dataclass(frozen=True, order=True)
class Setting:
    """What runs must share to stand in one table.

    Attributes:
        recipe: the recipe as sorted JSON, so that settings can be compared and hashed; what an older result
            does not name has its default.
    """

    data: str
    model: str
    split: str
    label_noise: float
    imbalance: float
    anneal: float
    budget: str
    recipe: str

    @classmethod
    def of(cls, result: Result) -> Setting:
        """The setting of a run."""
        recipe = json.dumps(completed(result.data, result.recipe), sort_keys=True)
        return cls(
            result.data, result.model, result.split, result.label_noise, result.imbalance, result.anneal, result.budget,
            recipe,
        )  # fmt: skip

    @property
    def wording(self) -> Wording:
        """How reports speak of its runs."""
        return wording_of(self.data, json.loads(self.recipe))


def by_setting(results: Iterable[Result]) -> dict[Setting, list[Result]]:
    """Group runs by setting, in the settings' order; a run listed twice counts once."""
    unique = {result.run_id: result for result in results}
    groups: dict[Setting, list[Result]] = {}
    for result in unique.values():
        groups.setdefault(Setting.of(result), []).append(result)
    return dict(sorted(groups.items()))


def setting_titles(settings: Sequence[Setting]) -> dict[Setting, str]:
    """Each setting in words: data, model, split, noise, and what else departs from the plainest run.

    Recipes are named by what they do not share with those of the same data and model.
    """
    return {
        setting: " · ".join([setting.data, setting.model, f"{setting.split} set", *_training(setting), *recipe])
        for setting, recipe in _recipes_apart(settings).items()
    }


def short_titles(settings: Sequence[Setting]) -> dict[Setting, str]:
    """Each setting in few words, for the heading of a column: its labels, and what else the settings do not share.

    "" where there are no labels and nothing else is to be said.
    """
    told: dict[str, Callable[[Setting], str]] = {
        "data": lambda one: one.data,
        "model": lambda one: one.model,
        "split": lambda one: f"{one.split} set",
        "imbalance": lambda one: f"imbalance {one.imbalance:g}" if one.imbalance != 1 else "",
        "anneal": lambda one: f"{100 * one.anneal:g}% annealed" if one.anneal else "",
        "budget": lambda one: f"rate per {one.budget}",
    }
    differing = [words for name, words in told.items() if len({getattr(one, name) for one in settings}) > 1]
    titles = {}
    for setting, recipe in _recipes_apart(settings).items():
        labels = f"{100 * setting.label_noise:g}% wrong labels" if setting.label_noise else setting.wording.short
        titles[setting] = ", ".join(filter(None, [labels, *(words(setting) for words in differing), *recipe]))
    return titles


def anchors(settings: Sequence[Setting]) -> dict[Setting, str]:
    """A name for each setting's links and files: letters, digits, dots and dashes, no two the same."""
    several = {one.data for one in settings if len({other.model for other in settings if other.data == one.data}) > 1}
    taken: dict[Setting, str] = {}
    for setting in settings:
        parts = [setting.data, *([setting.model] if setting.data in several else [])]
        parts += list(filter(None, [setting.wording.method]))
        parts += [f"noise{setting.label_noise:g}"] if setting.label_noise else []
        parts += [f"imbalance{setting.imbalance:g}"] if setting.imbalance != 1 else []
        parts += [f"anneal{setting.anneal:g}"] if setting.anneal else []
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(parts))
        number, candidate = 1, name
        while candidate in taken.values():
            number += 1
            candidate = f"{name}-{number}"
        taken[setting] = candidate
    return taken


def _training(setting: Setting) -> list[str]:
    """Labels, classes and schedule in words."""
    noisy = f"{100 * setting.label_noise:g} % wrong labels"
    parts = [noisy if setting.label_noise else setting.wording.unflipped]
    if setting.imbalance != 1:
        parts.append(f"largest class {setting.imbalance:g} times the smallest")
    per = f"rate counted per {setting.budget}"
    if setting.anneal:
        parts.append(f"last {100 * setting.anneal:g} % of the epochs on all data, {per}")
    elif setting.budget != "epoch":
        parts.append(per)
    return parts


def _recipes_apart(settings: Sequence[Setting]) -> dict[Setting, list[str]]:
    """For each setting, those of its recipe's entries that another of the same data and model has otherwise."""
    told = {}
    for setting in settings:
        common, own = _entries(setting)
        others = [_entries(one) for one in settings if (one.data, one.model) == (setting.data, setting.model)]
        # Who has no such entry has no contrastive method, which the title says already.
        differing = [
            *(name for name, value in common.items() if any(other.get(name) != value for other, _ in others)),
            *(name for name, value in own.items() if any(other.get(name, value) != value for _, other in others)),
        ]
        told[setting] = [f"{name.replace('_', ' ')} {(common | own)[name]}" for name in differing]
    return told


_RENAMED = {"momentum": "key_momentum"}


def _entries(setting: Setting) -> tuple[dict[str, Any], dict[str, Any]]:
    """A recipe's common entries, and those of its contrastive method but for the method's name."""
    recipe: dict[str, Any] = json.loads(setting.recipe)
    method: dict[str, Any] = recipe.pop("contrastive", None) or {}
    return recipe, {_RENAMED.get(name, name): value for name, value in method.items() if name != "method"}
