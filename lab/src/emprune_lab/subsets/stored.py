"""What a scoring run showed of each sample: stored once, and shared by every static label of a seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.checkpoint import atomic_write
from emprune.scoring.stored import load_scores, save_scores

Floats = NDArray[np.float32]


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
        return Cost(
            self.samples_forward + other.samples_forward,
            self.samples_backward + other.samples_backward,
            self.seconds + other.seconds,
        )


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
    """The files of a scoring run's outcome, in one folder: columns, features, and what they are and took, as JSON."""

    scores_file: Path
    features_file: Path
    about_file: Path

    def held(self) -> set[str]:
        """Names of the columns, and "features"; empty where there are no files or they are not whole."""
        found = set(self._about().get("holds", ())) if self.scores_file.is_file() else set()
        return found if self.features_file.is_file() else found - {"features"}

    def save(self, scored: Scored, identity: Mapping[str, Any]) -> None:
        """Write the files, each whole or not at all; the one that says what there is comes last.

        What they hold already stays as it is: a run that was stopped goes on with the scores it began with,
        also where a device does not give the same ones twice.
        """
        self.about_file.parent.mkdir(parents=True, exist_ok=True)
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
        column: what is needed, "features" among the columns.
        folder: where the files are shared by the runs of a comparison.
        identity: JSON values, everything that decides the scores: data, recipe, epochs, seed, label noise.
        collect: runs it; given what is needed and what the files hold already, among it "grand" and "features".
    """
    digest = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=5).hexdigest()
    names = f"scores-{digest}.npz", f"features-{digest}.npy", f"scores-{digest}.json"
    stored = Stored(*(folder / name for name in names))
    if column not in (held := stored.held()):
        stored.save(collect(held | {column}), identity)
    return stored
