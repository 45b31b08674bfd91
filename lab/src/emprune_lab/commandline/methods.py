"""The list of what emprune knows: policies, selection rules, scores, data sets and presets, each with its source."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from rich.table import Table

from emprune import Policy, scoring
from emprune.policies import REGISTRY
from emprune.selection import RULES
from emprune_lab.specs.spec import LADDER, SHORT
from emprune_lab.subsets.static import LABELS
from emprune_lab.tasks import KINDS


def table_of_methods() -> Table:
    """A line each."""
    table = Table("kind", "name", "settings", "what", "source")
    for name, policy in REGISTRY.items():
        table.add_row("policy", name, _settings(policy), f"{_first_line(policy)}{_reads(policy)}", policy.source)
    table.add_row("policy", SHORT, "", "Fewer epochs of full data at the same number of samples.", "reference (lab)")
    table.add_row("policy", LADDER, "", "Full, and short at 1/16, 1/8, 1/4 and 1/2 of its samples.", "reference (lab)")
    for name, rule in RULES.items():
        table.add_row("rule", name, _settings(rule), _first_line(rule), "")
    for name, source in LABELS.items():
        table.add_row("policy", name, "", "A fixed subset, by a scoring run beforehand.", f"{source} (lab's data)")
    for score in (scoring.classification, scoring.tokens, scoring.contrastive, scoring.contrastive_queue):
        table.add_row("score", score.__name__, _settings(score), _first_line(score), "")
    for task in KINDS.values():
        for kind, name, what, source in task.listed:
            table.add_row(kind, name, "", what, source)
    table.add_row("data", "your own", "", "compare --train module:function, see docs/own-data.md", "")
    for task in KINDS.values():
        for name, data in task.sets.items():
            table.add_row("data", name, f"preset={data.preset}", _first_line(data.read), "")
        for name, preset in task.presets.items():
            recipe = preset.recipe
            what = f"{recipe.model}, {recipe.epochs} epochs, batches of {recipe.batch_size}, {recipe.precision}"
            table.add_row("preset", name, "", what, preset.source)
    return table


def _settings(documented: Callable[..., object]) -> str:
    parameters = inspect.signature(documented).parameters.values()
    return ", ".join(f"{one.name}={one.default}" for one in parameters if one.default is not one.empty)


def _reads(policy: type[Policy]) -> str:
    """What a step must give it beside the loss."""
    further = [name for name in policy.inputs if name != "loss"]
    optional = ", if given" if further == ["memory"] and policy.memory_is_optional else ""
    return f" Reads beside the loss: {', '.join(further)}{optional}." if further else ""


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n")[0]
