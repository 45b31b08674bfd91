"""Labels of static subsets and their settings: what they need scored, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emprune import ArgumentError
from emprune_lab.subsets import static
from emprune_lab.subsets.stored import Stored


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("best", {}, "policy is 'best'; allowed: one of el2n, grand, .*moderate"),
        ("ccs", {"scores": "loss"}, "scores is 'loss'; allowed: one of el2n"),
        ("el2n", {"cut": 1}, r"cut is 1; allowed: settings of el2n, rule, cutoff, strata\. Did you mean 'cutoff'\?"),
        ("herding", {"center": "mean"}, "center is 'mean'; allowed: settings of herding, per_class"),
        ("k-center", {"metric": 1}, "metric is 1; allowed: settings of k-center, per_class"),
        ("k-center", {"per_class": "no"}, "per_class is 'no'; allowed: True or False"),
        ("moderate", {"center": "mode"}, "center is 'mode'"),
        ("el2n", {"rule": "best"}, "rule is 'best'"),
        ("el2n", {"column": "aum"}, "column is 'aum'; allowed: settings of el2n"),
        ("ccs", {"rule": "top"}, "rule is 'top'; allowed: settings of ccs, scores"),
        ("ccs", {"cutoff": 2}, "cutoff is 2"),
        ("ccs", {"cutoff": "much"}, "cutoff is 'much'; allowed: a number"),
    ],
)
def test_bad_labels_and_settings_are_named_before_anything_is_scored(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        static.needs_of(name, settings)
    nowhere = Stored(*[Path("nowhere")] * 3)
    with pytest.raises(ArgumentError, match=message):
        static.policy_for(name, nowhere, np.zeros(3, dtype=np.int64), k=1, seed=0, settings=settings)


def test_needs_of_labels() -> None:
    assert static.needs_of("least-confidence", {}) == "least_confidence"
    assert static.needs_of("ccs", {}) == "aum"
    assert static.needs_of("ccs", {"scores": "grand"}) == "grand"
    assert static.needs_of("moderate", {"center": "mean"}) == "features"
