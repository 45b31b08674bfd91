"""Static peers: what a scoring run showed is stored once, and every static policy of a seed is made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune import Policy, StaticScores, StaticSubset
from emprune.checkpoint import atomic_write
from emprune.errors import ArgumentError
from emprune.scoring.stored import load_scores, save_scores
from emprune.seeding import generator
from emprune.selection import coresets

Floats = NDArray[np.float32]

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


@dataclass(frozen=True)
class Cost:
    """What scoring took.

    Attributes:
        samples_forward, samples_backward: samples that went through the model.
        seconds: of training and scoring.
    """

    samples_forward: int = 0
    samples_backward: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(mine + its for mine, its in zip(asdict(self).values(), asdict(other).values(), strict=True)))


@dataclass(frozen=True)
class Scored:
    """What a scoring run showed of each sample.

    Attributes:
        columns: float32, shape [N], by name; higher means harder.
        features: float32, shape [N, D], input of the last layer, or None where nothing needs it.
        cost: of everything but the column "grand"; grand_cost: of that.
    """

    columns: dict[str, Floats]
    features: Floats | None
    cost: Cost
    grand_cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class Stored:
    """Where a scoring run's outcome lies; the files belong together by the digest in their names."""

    folder: Path
    digest: str

    @property
    def scores_file(self) -> Path:
        return self.folder / f"scores-{self.digest}.npz"

    @property
    def features_file(self) -> Path:
        return self.folder / f"features-{self.digest}.npy"

    @property
    def about_file(self) -> Path:
        return self.folder / f"scores-{self.digest}.json"

    def held(self) -> set[str]:
        """Names of the columns, and "features"; empty where there are no files or they are not whole."""
        found = set(self._about().get("holds", ())) if self.scores_file.is_file() else set()
        return found if self.features_file.is_file() else found - {"features"}

    def save(self, scored: Scored, identity: Mapping[str, Any]) -> None:
        """Write the files, each whole or not at all; the one that says what there is comes last.

        What they hold already stays as it is: a run that was stopped goes on with the scores it began with,
        also where a device does not give the same ones twice.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self.held()
        columns: dict[str, Any] = scored.columns | (load_scores(self.scores_file) if held else {})
        save_scores(self.scores_file, **columns)
        if (features := scored.features) is not None and "features" not in held:
            atomic_write(self.features_file, lambda new: np.save(new, features))
            held.add("features")
        about = {
            "identity": identity, "holds": sorted(held | set(columns)),
            "cost": asdict(scored.cost), "grand_cost": asdict(scored.grand_cost),
        }  # fmt: skip
        atomic_write(self.about_file, lambda new: new.write_text(json.dumps(about, indent=1)))

    def cost(self, column: str) -> Cost:
        """What the scores took, without choosing a subset; that of GraNd only where it is the column."""
        about = self._about()
        cost = Cost(**about["cost"])
        return cost + Cost(**about["grand_cost"]) if column == "grand" else cost

    def _about(self) -> dict[str, Any]:
        try:
            about = json.loads(self.about_file.read_text())
        except (OSError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}


def scores_for(column: str, folder: Path, identity: Mapping[str, Any], collect: Callable[[set[str]], Scored]) -> Stored:
    """The stored outcome of a scoring run, which is run first where the files do not hold what is needed.

    Args:
        column: what :func:`needs_of` says of the label.
        folder: where the files are shared by the runs of a comparison.
        identity: JSON values, everything that decides the scores: data, recipe, epochs, seed, label noise.
        collect: runs it; given what is needed and what the files hold already, among it "grand" and "features".
    """
    digest = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=5).hexdigest()
    stored = Stored(folder, digest)
    if column not in (held := stored.held()):
        stored.save(collect(held | {column}), identity)
    return stored


def needs_of(name: str, settings: Mapping[str, Any]) -> str:
    """Which column of the scoring run a static label needs; "features" stands for the features.

    Settings are checked here, before anything is trained for them.

    Raises:
        ArgumentError: the name or a setting is unknown or out of range.

    >>> needs_of("ccs", {"scores": "least-confidence"})
    'least_confidence'
    """
    if name not in LABELS:
        raise ArgumentError("policy", name, f"one of {', '.join(LABELS)}")
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
        stored: from :func:`scores_for`, with what this label needs.
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
    with _naming(name, settings):
        if name != "ccs":
            return StaticScores(scores, column=column, **settings)
        rest = {key: value for key, value in settings.items() if key != "scores"}
        return StaticScores(scores, "ccs", column, **rest)


def _subset(
    name: str, settings: Mapping[str, Any], features: Floats, labels: NDArray[np.int64], k: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:  # fmt: skip
    """The k ids, best first, that a label of :data:`FEATURES` chooses."""
    with _naming(name, settings):
        if name == "moderate":
            return coresets.moderate(features, labels, k, **settings)
        rest = dict(settings)
        by_class = labels if rest.pop("per_class", True) else None
        if name == "herding":
            return coresets.herding(features, k, labels=by_class, **rest)
        return coresets.k_center(features, k, rng, labels=by_class, **rest)


@contextmanager
def _naming(name: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Say whose settings they are where a call does not take them."""
    try:
        yield
    except TypeError as error:
        raise ArgumentError(f"settings of {name}", dict(settings), str(error)) from error
