"""A finished run as far as this study reads it, and the compact file that holds the study's own."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emprune_lab.records.metrics import metric_named
from emprune_lab.records.results import Result
from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.tasks import completed

COLUMNS = (
    "policy", "label_noise", "seed", "samples_backward", "accuracy", "remembered", "remembered_true", "seconds",
    "origin",
)  # fmt: skip
"""What each run says for itself: fields of :class:`~emprune_lab.records.results.Result`; seconds are those of training,
scoring and selecting, origin is a place in the folder's ``origins``."""
_COMMON = ("data", "model", "split", "num_samples", "metric", "anneal", "budget", "imbalance", "prune_rate")
_ORIGIN = ("git_commit", "device", "versions", "command")


@dataclass(frozen=True, order=True)
class Place:
    """What runs share that differ only in policy, seed, epochs, rate and annealing.

    Attributes:
        recipe: as sorted JSON, without the epochs.
    """

    data: str
    network: str
    num_samples: int
    label_noise: float
    imbalance: float
    metric: str
    recipe: str


@dataclass(frozen=True)
class Run:
    """One finished run on a test split.

    Attributes:
        epochs: of the comparison that it belongs to; ``short`` trains fewer.
        samples: that went through backward.
        value: what heads its comparison, scaled as reports do and signed so that higher is better.
        accuracy, remembered: percent predicted right, in one measure: of the test set, against true labels, and of the
            training set, against the labels trained on; None where the study has no such pair.
        seconds: of training, scoring and selecting.
    """

    place: Place
    anneal: float
    epochs: int
    prune_rate: float
    policy: str
    seed: int
    samples: int
    value: float
    accuracy: float | None
    remembered: float | None
    seconds: float

    @classmethod
    def of(cls, result: Result) -> Run:
        """From what the laboratory recorded. Raises ArgumentError where the metric is unknown."""
        metric = metric_named(result.metric)
        accuracy = {result.metric: result.accuracy, **result.metrics}.get("accuracy")
        return cls(
            place=Place(
                result.data, result.model, result.num_samples, result.label_noise, result.imbalance, result.metric,
                _recipe(result.data, result.recipe),
            ),
            anneal=result.anneal,
            epochs=result.recipe["epochs"],
            prune_rate=result.prune_rate,
            policy=result.policy,
            seed=result.seed,
            samples=result.samples_backward,
            value=metric.sign * metric.scale * result.accuracy,
            accuracy=None if accuracy is None else 100 * accuracy,
            remembered=None if accuracy is None or result.remembered is None else 100 * result.remembered,
            seconds=_seconds(result),
        )  # fmt: skip

    @property
    def effective_epochs(self) -> float:
        """How often a sample was trained on average."""
        return self.samples / self.place.num_samples


def pack(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Comparisons in small: what runs share once, then a row a run as :data:`COLUMNS` names it.

    Runs of one data set, network, recipe, rate and annealing make one folder, called so, wherever they lie. A run
    listed twice counts once.
    """
    folders: dict[str, dict[str, Result]] = {}
    for result in results:
        name = f"{result.data}-{result.model}-{result.recipe['epochs']}-{result.prune_rate:g}"
        if result.anneal:
            name += f"-annealed-{result.anneal:g}"
        folders.setdefault(name, {}).setdefault(result.run_id, result)
    return [_packed(name, list(own.values())) for name, own in sorted(folders.items())]


def merged(before: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Two packs as one: of the same run, what ``new`` says counts.

    A run that has no dynamic random of its seed beside it is left out, but for full data.

    Raises:
        ValueError: folders of one name differ in what their runs share.
    """
    folders = {folder["folder"]: dict(folder) for folder in before}
    for folder in new:
        name = folder["folder"]
        folders[name] = _joined(folders[name], folder) if name in folders else dict(folder)
    beside = {name: _beside_random(folder) for name, folder in sorted(folders.items())}
    return [folder for folder in beside.values() if folder["runs"]]


def unpack(packed: Iterable[Mapping[str, Any]]) -> list[Run]:
    """The runs of :func:`pack`."""
    return [run for folder in packed for run in _unpacked(folder)]


def write(path: Path, packed: Iterable[Mapping[str, Any]]) -> None:
    """As JSON with a line for each run and each shared field."""
    path.write_text("[\n" + ",\n".join(map(_text, packed)) + "\n]\n", encoding="utf-8")


def read(path: Path) -> list[Run]:
    """The runs that :func:`write` wrote."""
    return unpack(json.loads(path.read_text("utf-8")))


def _joined(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    apart = {"folder", "policy_settings", "origins", "columns", "runs"}
    if differing := [field for field in before if field not in apart and before[field] != new[field]]:
        raise ValueError(f"folders {new['folder']} differ in {', '.join(differing)}")
    origins = [*before["origins"], *(origin for origin in new["origins"] if origin not in before["origins"])]
    moved = [[*row[:-1], origins.index(new["origins"][row[-1]])] for row in new["runs"]]
    rows = {_key(row): list(row) for row in (*before["runs"], *moved)}
    # Of what has been replaced, the origin goes as well.
    used = sorted({row[-1] for row in rows.values()})
    for row in rows.values():
        row[-1] = used.index(row[-1])
    return {
        **before, "policy_settings": {**before["policy_settings"], **new["policy_settings"]},
        "origins": [origins[place] for place in used],
        "runs": sorted(rows.values(), key=lambda row: (row[1], row[0], row[2])),
    }  # fmt: skip


def _key(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(row[COLUMNS.index(name)] for name in ("policy", "label_noise", "seed"))


def _beside_random(folder: dict[str, Any]) -> dict[str, Any]:
    paired = {_key(row)[1:] for row in folder["runs"] if row[0] == RANDOM}
    return {**folder, "runs": [row for row in folder["runs"] if row[0] == FULL or _key(row)[1:] in paired]}


def _packed(name: str, results: list[Result]) -> dict[str, Any]:
    shared = _shared(results[0])
    for result in results:
        differing = [field for field, value in _shared(result).items() if value != shared[field]]
        if differing:
            raise ValueError(f"runs of {name} differ in {', '.join(differing)}: {result.run_id}")
    settings = {result.policy: result.policy_settings for result in results if result.policy_settings}
    origins: list[dict[str, Any]] = []
    rows = []
    for result in sorted(results, key=lambda one: (one.label_noise, one.policy, one.seed)):
        origin = {field: getattr(result, field) for field in _ORIGIN}
        origin["command"] = _asked(origin["command"], name)
        if origin not in origins:
            origins.append(origin)
        said = {**dataclasses.asdict(result), "seconds": round(_seconds(result), 2), "origin": origins.index(origin)}
        rows.append([round(said[column], 6) if isinstance(said[column], float) else said[column] for column in COLUMNS])
    return {"folder": name, **shared, "policy_settings": settings, "origins": origins, "columns": COLUMNS, "runs": rows}


def _shared(result: Result) -> dict[str, Any]:
    return {field: getattr(result, field) for field in _COMMON} | {"recipe": completed(result.data, result.recipe)}


def _unpacked(folder: Mapping[str, Any]) -> Iterable[Run]:
    metric = metric_named(folder["metric"])
    for row in folder["runs"]:
        said = dict(zip(folder["columns"], row, strict=True))
        percent = folder["metric"] == "accuracy"
        yield Run(
            place=Place(
                folder["data"], folder["model"], folder["num_samples"], said["label_noise"], folder["imbalance"],
                folder["metric"], _recipe(folder["data"], folder["recipe"]),
            ),
            anneal=folder["anneal"],
            epochs=folder["recipe"]["epochs"],
            prune_rate=folder["prune_rate"],
            policy=said["policy"],
            seed=said["seed"],
            samples=said["samples_backward"],
            value=metric.sign * metric.scale * said["accuracy"],
            accuracy=100 * said["accuracy"] if percent else None,
            remembered=100 * said["remembered"] if percent else None,
            seconds=said["seconds"],
        )  # fmt: skip


def _recipe(data: str, recipe: Mapping[str, Any]) -> str:
    return json.dumps({**completed(data, recipe), "epochs": None}, sort_keys=True)


def _seconds(result: Result) -> float:
    return sum(result.seconds.get(kind, 0.0) for kind in ("train", "score", "select"))


def _asked(command: str, name: str) -> str:
    """The command with the study's own folder for its output."""
    return re.sub(r"--out \S+", f"--out runs/map/{name}", command)


def _text(folder: Mapping[str, Any]) -> str:
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in folder.items() if key != "runs"]
    rows = ",\n".join(f"  {json.dumps(row)}" for row in folder["runs"])
    return "{\n" + ",\n".join([*lines, f' "runs": [\n{rows}\n ]']) + "\n}"
