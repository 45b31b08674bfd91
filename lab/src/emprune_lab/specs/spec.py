"""RunSpec: everything that decides a run's outcome, and the pruner that follows from it."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from emprune import AutoRate, DynamicRandom, Full, Policy, Pruner, StaticRandom, StaticScores, get_policy
from emprune.errors import ArgumentError, did_you_mean
from emprune.policies import REGISTRY, check_settings, missing_settings
from emprune_lab.data import Split
from emprune_lab.specs.base import Budget, Experiment, Spec, run_id_of
from emprune_lab.specs.recipe import Recipe
from emprune_lab.subsets.static import LABELS as STATIC_LABELS
from emprune_lab.subsets.static import needs_of

SHORT = "short"
"""The baseline that papers forget: fewer epochs of full data at the same number of samples."""
LADDER, LADDER_RATES = "ladder", (15 / 16, 7 / 8, 3 / 4, 1 / 2)
"""Plain training at several budgets, which :func:`policies_at` writes out: ``short`` at these rates, and ``full``."""
_OF_THE_TASK = ("memory", "memory_temperature")
OWN_RATE = "auto"
"""Value of a label's setting ``rate``: the run follows the scores, whatever the rate of the others."""
SHARED_RATE = "auto-target"
"""Likewise: the scores spread over the epochs what the run trains at the rate of the others."""


P = TypeVar("P", bound=Pruner)


@dataclass(frozen=True)
class RunSpec:
    """One run of a task of the laboratory.

    Attributes:
        data: name of the data set.
        data_dir: where it lies, no part of the run's identity.
        policy: a registered name or "short", with settings behind colons: "emp:beta=2:rule=top". See :func:`memory_of`
            and :func:`rate_of` for settings that are none of the policy's.
        prune_rate: r.
        seed: of weights, label noise and plans.
        recipe: how to train.
        split: what to evaluate on.
        label_noise: fraction of wrong training labels.
        anneal, budget: as for the pruner.
        imbalance: largest class of the training set over its smallest; 1 leaves it as published.
    """

    data: str
    policy: str
    prune_rate: float
    seed: int
    recipe: Recipe
    split: Split = "test"
    label_noise: float = 0.0
    anneal: float = 0.0
    budget: Budget = "epoch"
    imbalance: float = 1.0
    data_dir: str | None = None

    least_epoch: ClassVar[int] = 1

    @property
    def run_id(self) -> str:
        """A readable name, unique to the spec: a folder under runs/."""
        identity = dataclasses.asdict(self) | {"recipe": self.recipe.as_dict()}
        del identity["data_dir"]
        return run_id_of(self, self.data, identity)

    @property
    def epochs(self) -> int:
        """E of a full run."""
        return self.recipe.epochs

    @property
    def memory_terms(self) -> bool:
        """Whether the task has a choice of memory terms."""
        return self.recipe.task.memory_terms

    @property
    def experiment(self) -> Experiment:
        """What the runs of one folder share."""
        return Experiment(self.data, self.split, self.imbalance, self.recipe.as_dict())


def policies_at(label: str, prune_rates: Sequence[float]) -> list[tuple[str, float]]:
    """The labels and rates to train where a comparison is asked for a label.

    ``full`` does not depend on the rate, nor does a policy at a rate of its own; ``ladder`` is ``short`` at rates of
    its own, and ``full``: 1/16, 1/8, 1/4, 1/2 and all of the full run's samples. Where epochs are annealed its budgets
    are those of pruned runs at these rates, annealing counted.

    Raises:
        ArgumentError: as :func:`parse_policy`.

    >>> policies_at("full", [0.7, 0.9]), policies_at("emp:beta=2", [0.7, 0.9])
    ([('full', 0.0)], [('emp:beta=2', 0.7), ('emp:beta=2', 0.9)])
    >>> policies_at("ladder", [0.7])[:2]
    [('short', 0.9375), ('short', 0.875)]
    """
    name, settings = parse_policy(label)
    if name == LADDER:
        check_settings(LADDER, DynamicRandom, settings)
        return [*((SHORT, rate) for rate in LADDER_RATES), (Full.name, 0.0)]
    without_rate = name == Full.name or settings.get("rate") == OWN_RATE
    return [(label, 0.0)] if without_rate else [(label, rate) for rate in prune_rates]


def parse_policy(label: str) -> tuple[str, dict[str, Any]]:
    """Split "emp:beta=2:rule=top" into the name and its settings.

    Raises:
        ArgumentError: unknown name, or a setting without "=" or given twice.

    >>> parse_policy("emp:beta=2:rule=top")
    ('emp', {'beta': 2, 'rule': 'top'})
    """
    name, *pairs = label.split(":")
    known = [*REGISTRY, SHORT, LADDER, *STATIC_LABELS]
    if name not in known:
        raise ArgumentError("policy", name, f"one of {', '.join(known)}", did_you_mean(name.lower(), known))
    settings = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or key in settings:
            raise ArgumentError("policy", label, "name:setting=value:setting=value")
        try:
            settings[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[key] = value
    return name, settings


def build_policy(label: str) -> Policy:
    """The policy that a label names; ``short`` draws its last, partial epoch at random.

    A static label's policy needs scores; a random subset stands for it where only the sizes matter.

    Raises:
        ArgumentError: a setting is unknown, out of range or missing.
    """
    name, settings = parse_policy(label)
    not_its_own = _OF_THE_TASK if rate_of(label) is None else (*_OF_THE_TASK, "rate")
    settings = {key: value for key, value in settings.items() if key not in not_its_own}
    if name in STATIC_LABELS:
        needs_of(name, settings)
        return StaticRandom()
    if name == LADDER:
        raise ArgumentError(
            "policy", label, f"one of a single run: {LADDER} stands for {SHORT} at {len(LADDER_RATES)} rates and full",
            "Ask a comparison for it: emprune compare --policies ladder,random,emp.",
        )  # fmt: skip
    if name == SHORT:
        check_settings(SHORT, DynamicRandom, settings)
        return DynamicRandom()
    for missing in missing_settings(REGISTRY[name], settings):
        raise ArgumentError(
            "policy", label, f"one without {missing}, which only a program can give" if name != StaticScores.name
            else f"{name}:{missing}=FILE, with a file of scores",
            f"Subsets that a scoring run chooses: {', '.join(STATIC_LABELS)}.",
        )  # fmt: skip
    return get_policy(name, **settings)


def memory_of(spec: Spec) -> dict[str, Any]:
    """What a label asks of the memory term, {} where nothing: "emp:memory=alignment:memory_temperature=0.2".

    It is no setting of the policy, which takes the memory terms that it is given.

    Raises:
        ArgumentError: the run has no choice of memory terms.
    """
    asked = {key: value for key, value in parse_policy(spec.policy)[1].items() if key in _OF_THE_TASK}
    if asked and not (spec.memory_terms and "memory" in build_policy(spec.policy).inputs):
        raise ArgumentError(
            "policy", spec.policy, f"one without {' or '.join(asked)}: contrastive runs of policies with a memory term "
            "have a choice of it",
        )  # fmt: skip
    return asked


def rate_of(label: str) -> str | None:
    """What a label asks of the rate, "emp:rate=auto" or "emp:rate=auto-target"; None where it is that of all others.

    >>> rate_of("emp:rate=auto"), rate_of("emp")
    ('auto', None)
    """
    asked = parse_policy(label)[1].get("rate")
    return asked if asked in (OWN_RATE, SHARED_RATE) else None


def build_pruner(spec: Spec, num_samples: int, policy: Policy | None = None) -> Pruner:
    """The pruner of a run; every policy of a spec trains the same number of samples, but ``full``.

    Args:
        policy: instead of the one that :func:`build_policy` gives.
    """
    return pruner_made_by(Pruner, spec, num_samples, policy)


def pruner_made_by(make: Callable[..., P], spec: Spec, num_samples: int, policy: Policy | None = None) -> P:
    """As :func:`build_pruner`, by a subclass of :class:`emprune.Pruner` or what else takes its arguments."""
    policy = policy or build_policy(spec.policy)
    memory_of(spec)
    plain: dict[str, Any] = {"num_epochs": spec.epochs, "seed": spec.seed, "anneal": spec.anneal}
    fixed = {**plain, "prune_rate": spec.prune_rate, "budget": spec.budget}
    rate, is_short = rate_of(spec.policy), parse_policy(spec.policy)[0] == SHORT
    if not rate and not is_short:
        return make(num_samples, policy, **fixed)
    trained = sum(Pruner(num_samples, policy, **fixed).kept)
    if rate:
        # That of the whole run, whatever the rate is counted of.
        target = 1 - trained / (num_samples * spec.epochs) if rate == SHARED_RATE else None
        return make(num_samples, policy, **plain, prune_rate=AutoRate(target=target))
    rates = [1 - count / num_samples for count in short_counts(num_samples, trained, spec.least_epoch)]
    return make(num_samples, policy, prune_rate=rates, num_epochs=len(rates), seed=spec.seed)


def most_kept(spec: RunSpec, num_samples: int) -> int:
    """The most samples that a pruned epoch keeps; N where none is pruned."""
    return max((k for k in build_pruner(spec, num_samples).kept if k < num_samples), default=num_samples)


def short_counts(num_samples: int, budget: int, least: int = 1) -> list[int]:
    """Full epochs, and a partial one for what is left, unless that is less than ``least`` and not all.

    >>> short_counts(100, 250), short_counts(100, 204, least=10), short_counts(100, 4, least=10)
    ([100, 100, 50], [100, 100], [4])
    """
    full, rest = divmod(budget, num_samples)
    return [num_samples] * full + [rest] * (rest >= least or full == 0)
