"""The built-in policies by name, found in the files of this folder: a new one is a file with a class."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping

from emprune.errors import ArgumentError, did_you_mean
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


_ALLOWED = "a policy's name or an object of a Policy subclass"

REGISTRY: dict[str, type[Policy]] = {}
"""Every built-in policy by name; filled when :mod:`emprune.policies` is imported."""


def get_policy(name: str, **settings: object) -> Policy:
    """Build a policy by its registered name.

    Raises:
        ArgumentError: the name is unknown (the message lists the known ones), a setting is, or one is missing.

    >>> get_policy("emp", beta=2.0).settings()["beta"]
    2.0
    """
    if name not in REGISTRY:
        raise _unknown(name)
    check_settings(name, REGISTRY[name], settings)
    return REGISTRY[name](**settings)


def as_policy(policy: Policy | str) -> Policy:
    """The policy itself, or the one of a registered name.

    Raises:
        ArgumentError: it is neither; a class, or a name with settings, is answered with what to write.
    """
    if isinstance(policy, str):
        return get_policy(policy)
    if isinstance(policy, type) and issubclass(policy, Policy):
        raise ArgumentError("policy", policy, _ALLOWED, f"Build it: {policy.__name__}({_required(policy)}).")
    if not isinstance(policy, Policy):
        raise ArgumentError("policy", policy, _ALLOWED)
    return policy


def check_settings(name: str, function: Callable[..., object], settings: Mapping[str, object]) -> None:
    """Raise ArgumentError where a policy's settings are not arguments of its class, or of the function that makes it.

    Args:
        name: of the policy.
    """
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for setting, value in settings.items():
        if setting not in parameters:
            known = ", ".join(parameters)
            allowed = f"settings of policy {name!r}, {known}" if known else f"left out: policy {name!r} has no settings"
            raise ArgumentError(setting, value, allowed, did_you_mean(setting, parameters))
    for missing in missing_settings(function, settings):
        raise ArgumentError(
            missing, "missing", f"what policy {name!r} needs",
            f"Build it with them: {getattr(function, '__name__', name)}({_required(function)}).",
        )  # fmt: skip


def missing_settings(function: Callable[..., object], settings: Iterable[str] = ()) -> list[str]:
    """Arguments that a call of a policy's class must give and ``settings`` do not name."""
    parameters = inspect.signature(function).parameters.values()
    return [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        if one.name not in settings
    ]


def _unknown(name: str) -> ArgumentError:
    head, colon, rest = name.partition(":")
    if colon and head in REGISTRY:
        arguments = ", ".join(_as_written(setting) for setting in rest.split(":"))
        hint = f"Settings are arguments of its class: policy={REGISTRY[head].__name__}({arguments})."
    else:
        hint = did_you_mean(head.lower(), REGISTRY)
    return ArgumentError("policy", name, f"one of {', '.join(REGISTRY)}, or an object of a Policy subclass", hint)


def _as_written(setting: str) -> str:
    """A setting of the command line, "rule=top", as Python has it: "rule='top'"."""
    name, equals, value = setting.partition("=")
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        value = repr(value) if equals else ""
    return f"{name}{equals}{value}"


def _required(function: Callable[..., object]) -> str:
    """The arguments that a call must give, by name: "ids=..."."""
    return ", ".join(f"{name}=..." for name in missing_settings(function))


def partitionable() -> list[str]:
    """Names of the policies that work where no rank holds the whole score table."""
    return [name for name, policy in REGISTRY.items() if policy.partitionable]
