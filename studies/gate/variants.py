"""What was tried for the default policy: the gate with one part changed, and fixed rules beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emprune import EMP, GatedEMP, Policy, Request, Selection, get_policy
from emprune.policies.even_counts import CREDIT
from emprune.policies.gated import Sharpness


@dataclass(repr=False)
class Gate(GatedEMP):
    """The gate, with or without what it weighs.

    Attributes:
        reliable: weigh the reliability of stored scores; else as if it were 1.
        even: count turns; else all are drawn, whatever came before.
    """

    reliable: bool = True
    even: bool = True

    name = "gate-variant"

    def select(self, request: Request) -> Selection:
        if not self.even:  # a credit that begins anew in each epoch
            fresh, start = request.rng("fresh"), request.rng("start", every_epoch=False)
            numbers = (generator.random(request.num_samples, dtype=np.float32) for generator in (fresh, start))
            request.table.column(CREDIT)[:] = np.subtract(*numbers)
        return super().select(request)

    def known(self, table: Any, epoch: int, num_epochs: int) -> Sharpness:
        found = super().known(table, epoch, num_epochs)
        if self.reliable:
            return found
        sure = found.reliability.value - self.doubt * found.reliability.error
        return found._replace(gamma=min(self.gamma, found.gamma / sure) if sure > 0 else found.gamma)


@dataclass(repr=False)
class Fixed(EMP):
    """EMP at fixed sharpness, by other rules.

    Attributes:
        floor: part of the probability that is the same for all samples.
        ess: effective sample size that the exponent is chosen for, (Σp)²/(N·Σp²); 0: γ as given.
        clip: losses count no higher than this, in nats.
    """

    floor: float = 0.0
    ess: float = 0.0
    clip: float = float("inf")

    name = "fixed-variant"

    def select(self, request: Request) -> Selection:
        table = request.table
        scores = np.minimum(table.loss, np.float32(self.clip)) + np.float32(self.beta) * table.memory
        scores = np.maximum(table.rank(scores, "mean"), 1e-6)
        gamma = exponent_for(scores, self.ess) if self.ess else self.gamma
        powers = (scores / scores.mean()) ** np.float32(gamma)
        return request.sample((1 - self.floor) * powers / powers.mean() + self.floor)


def exponent_for(scores: np.ndarray, ess: float) -> float:
    """γ in (0, 8], so that sampling by score^γ has this effective sample size, a fraction; by bisection."""
    low, high = 0.0, 8.0
    for _ in range(20):
        middle = (low + high) / 2
        powers = (scores.astype(np.float64) / scores.mean()) ** middle
        low, high = (middle, high) if powers.sum() ** 2 / (len(powers) * (powers**2).sum()) > ess else (low, middle)
    return high


def built(label: str) -> Policy:
    """The policy of a label: "gate:doubt=0:reliable=False", "fixed:floor=0.2", or one of the library."""
    name, *pairs = label.split(":")
    settings = {key: _value(value) for key, _, value in (pair.partition("=") for pair in pairs)}
    classes = {"gate": Gate, "fixed": Fixed}
    return classes[name](**settings) if name in classes else get_policy(name, **settings)


def _value(text: str) -> float | bool:
    return text == "True" if text in ("True", "False") else float(text)
