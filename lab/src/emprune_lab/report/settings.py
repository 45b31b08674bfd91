"""Settings: what runs must share to stand in one table, and titles of which no two are alike."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emprune_lab.records.results import Result
from emprune_lab.specs.own import is_own
from emprune_lab.tasks import completed, kind_of


@dataclass(frozen=True, order=True)
class Setting:
    """What runs must share to stand in one table.

    Attributes:
        recipe: as sorted JSON, so that settings can be compared and hashed; what an older result does not name has
            its default.
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
        return cls(
            result.data, result.model, result.split, result.label_noise, result.imbalance, result.anneal, result.budget,
            json.dumps(completed(result.data, result.recipe), sort_keys=True),
        )  # fmt: skip

    @property
    def labels(self) -> str:
        """The labels in a word or two, or what is trained on instead of them; "" where only a user's function knows."""
        if self.own:
            return ""
        if self.label_noise:
            return f"{100 * self.label_noise:g}% wrong labels"
        recipe = json.loads(self.recipe)
        kind = kind_of(self.data, recipe)
        return kind.targets(recipe) if kind else "clean"

    @property
    def own(self) -> bool:
        """Whether it is that of a user's own function."""
        return is_own(json.loads(self.recipe))

    @property
    def labelled(self) -> bool:
        """Whether it is trained on labels."""
        return bool(self.label_noise) or self.labels == "clean"

    @property
    def entries(self) -> dict[str, Any]:
        """The recipe's entries by name; one within another has both names: "contrastive temperature"."""
        return dict(_flat(json.loads(self.recipe)))


# What a title says of a setting; "" where it is as plain as can be.
_WORDS: dict[str, Callable[[Setting], str]] = {
    "data": lambda one: one.data,
    "model": lambda one: one.model,
    "split": lambda one: f"{one.split} set" if one.split else "",
    "labels": lambda one: one.labels,
    "imbalance": lambda one: f"imbalance {one.imbalance:g}" if one.imbalance != 1 else "",
    "anneal": lambda one: f"{100 * one.anneal:g}% annealed" if one.anneal else "",
    "budget": lambda one: f"rate per {one.budget}" if one.budget != "epoch" else "",
}


def by_setting(results: Iterable[Result]) -> dict[Setting, list[Result]]:
    """Group runs by setting, in the settings' order; a run listed twice counts once."""
    unique = {result.run_id: result for result in results}
    groups: dict[Setting, list[Result]] = {}
    for result in unique.values():
        groups.setdefault(Setting.of(result), []).append(result)
    return dict(sorted(groups.items()))


def setting_titles(settings: Sequence[Setting]) -> dict[Setting, str]:
    """Each setting in words: data, model, split, labels, and what else departs from the plainest run.

    Recipes are named by what they do not share with those of the same data and model.
    """
    return _titles(settings, list(_WORDS), " · ")


def short_titles(settings: Sequence[Setting]) -> dict[Setting, str]:
    """Each setting in few words, for the heading of a column: its labels, and what else the settings do not share."""
    differing = [name for name, say in _WORDS.items() if len({say(one) for one in settings}) > 1 and name != "labels"]
    return _titles(settings, ["labels", *differing], ", ")


def anchors(settings: Sequence[Setting]) -> dict[Setting, str]:
    """A name for each setting's links and files: letters, digits, dots and dashes."""
    return {one: re.sub(r"[^A-Za-z0-9.-]+", "-", title) for one, title in setting_titles(settings).items()}


def settings_table(results: Sequence[Result]) -> dict[str, str]:
    """What was run, as names and values, from all results of a setting; the recipe as their version recorded it."""
    setting, policies = Setting.of(results[0]), {run.policy: run.policy_settings for run in results}
    counts = sorted(set(Counter((run.policy, run.prune_rate) for run in results).values()))
    known = {
        "Evaluated on": f"{setting.split} set",
        "Wrong labels": f"{100 * setting.label_noise:g} %",
        "Imbalance": f"{setting.imbalance:g}",
    }
    return {
        "Data": f"{setting.data}, {max(run.num_samples for run in results):,} training samples",
        **({} if setting.own else known),
        "Annealed epochs": f"{100 * setting.anneal:g} %",
        "Rate counted per": setting.budget,
        "Recipe": _listed(dict(_flat(results[0].recipe)), " · "),
        "Policies": "; ".join(name + (f" ({_listed(own, ', ')})" if own else "") for name, own in policies.items()),
        "Seeds": ", ".join(map(str, sorted({run.seed for run in results}))),
        "Runs of a policy and rate": " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]]))),
    }


def _listed(values: Mapping[str, Any], separator: str) -> str:
    """Names and values; what is not set is left out."""
    shown = {name: value for name, value in values.items() if value is not None and value != ""}
    return separator.join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())


def _flat(recipe: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in recipe.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", other) for inner, other in _flat(value))
        else:
            yield name, value


def _titles(settings: Sequence[Setting], names: Sequence[str], separator: str) -> dict[Setting, str]:
    """What _WORDS says under these names, then the recipe's entries that another of the same data and model has not."""
    titles = {}
    for setting in settings:
        mine = setting.entries
        others = [one.entries for one in settings if (one.data, one.model) == (setting.data, setting.model)]
        apart = [
            f"{name.replace('_', ' ')} {value}"
            for name, value in mine.items()
            if any(other.get(name, value) != value for other in others)
        ]
        titles[setting] = separator.join(filter(None, [*(_WORDS[name](setting) for name in names), *apart]))
    return titles
