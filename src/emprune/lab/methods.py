"""The list of what emprune knows: policies, selection rules and scores, each with its source."""

from __future__ import annotations

import inspect

from rich.table import Table

from emprune import scoring
from emprune.lab.spec import SHORT
from emprune.policies import REGISTRY
from emprune.selection import RULES


def methods_table() -> Table:
    """One line each."""
    table = Table("kind", "name", "settings", "what", "source")
    for name, policy in REGISTRY.items():
        table.add_row("policy", name, _settings(policy), _first_line(policy), policy.source)
    table.add_row("policy", SHORT, "", "Fewer epochs of full data at the same number of samples.", "reference (lab)")
    for name, rule in RULES.items():
        keywords = {p.name: p.default for p in inspect.signature(rule).parameters.values() if p.kind is p.KEYWORD_ONLY}
        table.add_row("rule", name, ", ".join(f"{k}={v}" for k, v in keywords.items()), _first_line(rule), "")
    table.add_row("score", "classification", "label_smoothing=0.0", _first_line(scoring.classification), "")
    return table


def _settings(policy: type) -> str:
    parameters = inspect.signature(policy).parameters.values()
    return ", ".join(f"{p.name}={p.default}" for p in parameters if p.default is not p.empty)


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n")[0]
