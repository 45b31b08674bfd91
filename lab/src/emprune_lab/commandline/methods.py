"""The list of what emprune knows: policies, selection rules and scores, each with its source."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from rich.table import Table

from emprune import scoring
from emprune.policies import REGISTRY
from emprune.selection import RULES
from emprune_lab.specs.spec import SHORT
from emprune_lab.subsets.static import LABELS
from emprune_lab.tasks import KINDS


def methods_table() -> Table:
    """One line each."""
    table = Table("kind", "name", "settings", "what", "source")
    for name, policy in REGISTRY.items():
        table.add_row("policy", name, _settings(policy), _first_line(policy), policy.source)
    table.add_row("policy", SHORT, "", "Fewer epochs of full data at the same number of samples.", "reference (lab)")
    for name, rule in RULES.items():
        table.add_row("rule", name, _keywords(rule), _first_line(rule), "")
    for name, source in LABELS.items():
        table.add_row("policy", name, "", "A fixed subset, by a scoring run beforehand.", f"{source} (lab)")
    for score in (scoring.classification, scoring.tokens, scoring.contrastive, scoring.contrastive_queue):
        table.add_row("score", score.__name__, _keywords(score), _first_line(score), "")
    for task in KINDS.values():
        for kind, name, what, source in task.listed:
            table.add_row(kind, name, "", what, source)
    return table


def _settings(policy: type) -> str:
    parameters = inspect.signature(policy).parameters.values()
    return ", ".join(f"{p.name}={p.default}" for p in parameters if p.default is not p.empty)


def _keywords(function: Callable[..., object]) -> str:
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(f"{p.name}={p.default}" for p in parameters if p.kind is p.KEYWORD_ONLY)


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n")[0]
