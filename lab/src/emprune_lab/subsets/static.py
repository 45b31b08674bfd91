"""Static labels: peers that train one subset for the whole run, chosen by what a scoring run showed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune import Policy, StaticScores, StaticSubset
from emprune.errors import ArgumentError, did_you_mean
from emprune.seeding import generator
from emprune.selection import coresets
from emprune_lab.subsets.stored import Floats, Stored

SCORES: dict[str, str] = {
    "el2n": "Paul et al. 2021, arXiv:2107.07075",
    "grand": "Paul et al. 2021, arXiv:2107.07075 (all parameters)",
    "grand-last-layer": "Guo et al. 2022, arXiv:2204.08499 (DeepCore: the last layer's gradient)",
    "forgetting": "Toneva et al. 2019, arXiv:1812.05159",
    "aum": "Zheng et al. 2023, arXiv:2210.15809 (area under the margin, of probabilities)",
    "margin": "Coleman et al. 2020, arXiv:1906.11829",
    "least-confidence": "Coleman et al. 2020, arXiv:1906.11829",
    "entropy": "Coleman et al. 2020, arXiv:1906.11829",
}
"""Labels whose policy keeps the highest scores, with their source."""
FEATURES: dict[str, str] = {
    "herding": "Welling 2009; Chen et al. 2010, arXiv:1203.3472",
    "k-center": "Sener & Savarese 2018, arXiv:1708.00489",
    "moderate": "Xia et al., ICLR 2023",
}
"""Labels whose subset is chosen by features, with their source."""
LABELS: dict[str, str] = SCORES | {"ccs": "Zheng et al. 2023, arXiv:2210.15809"} | FEATURES
"""Every static label."""
_OF_SCORES = ("rule", "cutoff", "strata")
_SETTINGS = {
    "ccs": ("scores", "cutoff", "strata"), "herding": ("per_class",), "k-center": ("per_class",),
    "moderate": ("center",),
}  # fmt: skip


def needs_of(name: str, settings: Mapping[str, Any]) -> str:
    """Which column of the scoring run a static label needs; "features" stands for the features.

    Settings are checked here, before anything is trained for them.

    Raises:
        ArgumentError: the name or a setting is unknown or out of range.

    >>> needs_of("ccs", {"scores": "least-confidence"})
    'least_confidence'
    """
    if name not in LABELS:
        raise ArgumentError("policy", name, f"one of {', '.join(LABELS)}", did_you_mean(name, LABELS))
    if name in FEATURES:
        labels = np.zeros(1, dtype=np.int64)
        _subset(name, settings, np.zeros((1, 1), dtype=np.float32), labels, 1, np.random.default_rng(0))
        return "features"
    score = settings.get("scores", "aum") if name == "ccs" else name
    if score not in SCORES:
        raise ArgumentError("scores", score, f"one of {', '.join(SCORES)}")
    _by_scores(name, settings, [0.0], None)
    return str(score).replace("-", "_")


def policy_for(
    name: str, stored: Stored, labels: NDArray[np.int64], *, k: int, seed: int, settings: Mapping[str, Any]
) -> Policy:
    """The policy of a static label.

    Args:
        name: one of :data:`LABELS`.
        stored: from :func:`~emprune_lab.subsets.stored.scores_for`, with what this label needs.
        labels: int64, shape [N], those trained on.
        k: the most samples that a pruned epoch keeps.
        seed: the run's.
        settings: of a score: ``rule``; of "ccs": ``scores`` (a label of :data:`SCORES`, "aum" unless given),
            ``cutoff``, ``strata``; of "moderate": ``center``. "herding" and "k-center" go class by class, as DeepCore
            does, unless ``per_class`` is False.

    Raises:
        ArgumentError: the name or a setting is unknown or out of range.
    """
    column = needs_of(name, settings)
    if name not in FEATURES:
        return _by_scores(name, settings, stored.scores_file, column)
    features = np.load(stored.features_file, allow_pickle=False)
    ids = _subset(name, settings, features, labels, k, generator(seed, -1, "static subset"))
    return StaticSubset(ids, origin=name)


def _by_scores(name: str, settings: Mapping[str, Any], scores: Path | list[float], column: str | None) -> Policy:
    _check_known(name, settings)
    if name != "ccs":
        return StaticScores(scores, column=column, **settings)
    rest = {key: value for key, value in settings.items() if key != "scores"}
    return StaticScores(scores, "ccs", column, **rest)


def _subset(
    name: str, settings: Mapping[str, Any], features: Floats, labels: NDArray[np.int64], k: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:  # fmt: skip
    """The k ids, best first, that a label of :data:`FEATURES` chooses."""
    _check_known(name, settings)
    if name == "moderate":
        return coresets.moderate(features, labels, k, **settings)
    per_class = settings.get("per_class", True)
    if not isinstance(per_class, bool):
        raise ArgumentError("per_class", per_class, "True or False")
    by_class = labels if per_class else None
    if name == "herding":
        return coresets.herding(features, k, labels=by_class)
    return coresets.k_center(features, k, rng, labels=by_class)


def _check_known(name: str, settings: Mapping[str, Any]) -> None:
    known = _SETTINGS.get(name, _OF_SCORES)
    for setting, value in settings.items():
        if setting not in known:
            allowed = f"settings of {name}, {', '.join(known)}"
            raise ArgumentError(setting, value, allowed, did_you_mean(setting, known))
