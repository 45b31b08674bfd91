"""The built-in policies by name, found in the files of this folder: a new one is a file with a class."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from emprune.errors import ArgumentError
from emprune.policies.base import Policy

_FIRST = ("full", "static-random", "random", "rs2", "lfl")
_LAST = ("emp", "emp-gated")


def discovered(package: str, path: Iterable[str]) -> dict[str, type[Policy]]:
    """Policies with a name of their own, by name: references first, then peers in the order of names, EMP last.

    Args:
        package: dotted name under which modules are imported.
        path: folders that hold them.
    """
    modules = [importlib.import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(path)]
    found = {
        policy.name: policy
        for module in modules
        for policy in vars(module).values()
        if isinstance(policy, type) and issubclass(policy, Policy)
        if policy.__module__ == module.__name__ and "name" in vars(policy) and policy is not Policy
    }
    peers = sorted(found.keys() - {*_FIRST, *_LAST})
    return {name: found[name] for name in (*_FIRST, *peers, *_LAST) if name in found}


REGISTRY: dict[str, type[Policy]] = {}
"""Every built-in policy by name; filled when :mod:`emprune.policies` is imported."""


def get_policy(name: str, **settings: object) -> Policy:
    """Build a policy by its registered name.

    Raises:
        ArgumentError: the name is unknown (the message lists the known ones) or a setting is.

    >>> get_policy("emp", beta=2.0).settings()["beta"]
    2.0
    """
    if name not in REGISTRY:
        raise ArgumentError("policy", name, f"one of {', '.join(REGISTRY)}, or an object of a Policy subclass")
    try:
        return REGISTRY[name](**settings)
    except TypeError as error:
        raise ArgumentError(f"settings of {name}", settings, str(error)) from error


def partitionable() -> list[str]:
    """Names of the policies that work where no rank holds the whole score table."""
    return [name for name, policy in REGISTRY.items() if policy.partitionable]
