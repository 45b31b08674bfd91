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
        ("el2n", {"cut": 1}, r"settings of el2n is \{'cut': 1\}; allowed: .*cut"),
        ("herding", {"center": "mean"}, "settings of herding is .*center"),
        ("k-center", {"metric": 1}, "settings of k-center is .*metric"),
        ("moderate", {"center": "mode"}, "center is 'mode'"),
        ("el2n", {"rule": "best"}, "rule is 'best'"),
        ("el2n", {"column": "aum"}, "settings of el2n is .*column"),
        ("ccs", {"rule": "top"}, "settings of ccs is .*rule"),
        ("ccs", {"cutoff": 2}, "cutoff is 2"),
        ("ccs", {"cutoff": "much"}, "settings of ccs is .*'much'"),
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
