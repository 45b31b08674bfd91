"""What every run says of itself, whoever trains it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

Budget = Literal["epoch", "run"]
"""What the prune rate is of."""


class Spec(Protocol):
    """What every run says of itself, of a task of the laboratory or of a user's own function.

    Attributes:
        data: what it trains on, by name.
        policy: a label.
        prune_rate, seed, anneal, budget: as for the pruner.
        label_noise: fraction of labels that the laboratory makes wrong.
        epochs: E of a full run.
        memory_terms: whether a label may choose the memory term.
        least_epoch: samples of the smallest last epoch that ``short`` may have beside whole ones.
        run_id: a readable name, unique to the spec.
        experiment: what runs share whose results lie in one folder.
    """

    @property
    def data(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def prune_rate(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def label_noise(self) -> float: ...
    @property
    def anneal(self) -> float: ...
    @property
    def budget(self) -> Budget: ...
    @property
    def epochs(self) -> int: ...
    @property
    def memory_terms(self) -> bool: ...
    @property
    def least_epoch(self) -> int: ...
    @property
    def run_id(self) -> str: ...
    @property
    def experiment(self) -> Experiment: ...


class Experiment(NamedTuple):
    """What the runs of one folder share, as their results have it."""

    data: str
    split: str
    imbalance: float
    recipe: dict[str, Any]


def run_id_of(spec: Spec, name: str, identity: Mapping[str, Any]) -> str:
    """The name of a run's folder: readable, and unique to all that decides the run's outcome, JSON values by name."""
    digest = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=5).hexdigest()
    policy = spec.policy.replace(":", "_").replace("=", "-")
    return f"{name}-{policy}-r{spec.prune_rate:g}-s{spec.seed}-{digest}"
