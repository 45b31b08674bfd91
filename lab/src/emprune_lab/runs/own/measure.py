"""What a user's function returns, and which of it heads the comparison."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from emprune.errors import ArgumentError, EmpruneError, did_you_mean
from emprune_lab.records.results import Result

NUMBER = "metric"
"""Name of a number that comes without one."""
_MOST_SHOWN = 60


@dataclass(frozen=True)
class Measure:
    """Which of the values that a function returns heads the comparison.

    Attributes:
        name: of it, or of the number where it returns one alone; None: the first one's.
        lower_is_better: as for a loss.
    """

    name: str | None = None
    lower_is_better: bool = False

    def values(self, returned: object) -> dict[str, float]:
        """What was returned, by name; further values that are no finite numbers are left out.

        The one named may be missing: the run is worth keeping, and can be read by another.

        Raises:
            ArgumentError: it is no number and no dict of numbers.
            EmpruneError: what heads the comparison is not finite.

        >>> Measure().values({"accuracy": 0.5, "confusion": [[1, 0], [0, 1]]}), Measure("loss").values(0.25)
        ({'accuracy': 0.5}, {'loss': 0.25})
        """
        named = returned if isinstance(returned, Mapping) else {self.name or NUMBER: returned}
        found = {str(name): number for name, value in named.items() if (number := _number(value)) is not None}
        if not found:
            raise ArgumentError(
                "train", f"a function that returned {_shown(returned)}",
                "one that returns a number or a dict of numbers",
                "The first one, or the one named by metric, heads the comparison.",
            )  # fmt: skip
        head = self.name if self.name in found else next(iter(found))
        if not math.isfinite(found[head]):
            raise EmpruneError(
                f"{head} of the trained model is {found[head]}: training diverged, or nothing was measured."
            )
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def of(self, values: Mapping[str, float]) -> str:
        """Which of the values it is. Raises ArgumentError where it is not among them."""
        name = next(iter(values)) if self.name is None else self.name
        if name not in values:
            known = ", ".join(values)
            raise ArgumentError("metric", name, f"among those returned, {known}", did_you_mean(name, values))
        return name

    def read(self, result: Result) -> Result:
        """A finished run, read by this measure. Raises ArgumentError where it has no such value."""
        name = self.of(result.metrics)
        return replace(result, metric=name, accuracy=result.metrics[name], higher_is_better=not self.lower_is_better)


def _number(value: object) -> float | None:
    """None where it is none; also of a tensor or array that holds one."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.item() if np.prod(value.shape) == 1 else None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value)


def _shown(returned: object) -> str:
    text = repr(returned)
    return text if len(text) < _MOST_SHOWN else f"a {type(returned).__name__}"
