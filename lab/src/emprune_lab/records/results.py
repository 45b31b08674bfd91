"""Results on disk: one result.json and one samples.npz a run, one results.json a comparison."""

from __future__ import annotations

import dataclasses
import json
import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from emprune.checkpoint import atomic_write
from emprune.errors import DataError
from emprune_lab.records.metrics import metric_named

RESULT_FILE, SAMPLES_FILE, RESULTS_FILE = "result.json", "samples.npz", "results.json"
SCHEMA_VERSION = 1

Arrays = TypeVar("Arrays", bound="Counts")


@dataclass(frozen=True)
class Result:
    """What one finished run has to say; the content of its result.json.

    Attributes:
        data, model: names.
        split: "test" or "validation".
        label_noise: fraction of wrong train labels.
        imbalance: largest class over the smallest, of the training set. Of a user's own function data is its name,
            model and split are "", and the laboratory has changed nothing in its labels.
        policy: the label it runs under, "emp" or with settings "emp:beta=2".
        policy_settings: all of them.
        prune_rate: as asked for.
        realised_rate: 1 - samples_backward / (num_samples·reference epochs), where the reference is the full run of the
            same comparison.
        seed, epochs, num_samples: of this run (``short`` has fewer epochs).
        samples_forward, samples_backward, optimizer_steps: what training cost; forward passes that only
            score (hidden samples, whole batches before a part is trained, a static score's run) included.
        samples_backward_scoring: samples that a static score's run trained, on top of samples_backward.
        metric: the name of the measure in ``accuracy``, a key of :data:`emprune_lab.records.metrics.METRICS`, or one of
            a user's own.
        accuracy: its value on the split, for "accuracy" the fraction right.
        metrics: that and the task's further measures, by name; empty in older results.
        higher_is_better: of a user's own measure; None where METRICS says it.
        remembered: fraction of the training set predicted right at the end, augmentation off, against
            the labels trained on; remembered_true: against the true labels (differs under label noise). None where
            only a user's own function knows the model.
        seconds: total, train, select, score (separate scoring passes), evaluate.
        history: one entry an epoch: kept, loss (nats, mean over the samples trained), accuracy (of the
            training batches, while training), seconds, and what the policy shows of the epoch where it is known, such
            as the exponent of "emp-gated".
        recipe, anneal, budget: how it was trained; see the lab's Recipe and RunSpec.
        device, versions, git_commit, command: where it comes from and how to repeat it.
        run_id: name of the run's folder.
    """

    data: str
    model: str
    split: str
    label_noise: float
    policy: str
    policy_settings: dict[str, Any]
    prune_rate: float
    realised_rate: float
    seed: int
    epochs: int
    num_samples: int
    samples_forward: int
    samples_backward: int
    optimizer_steps: int
    metric: str
    accuracy: float
    remembered: float | None
    remembered_true: float | None
    seconds: dict[str, float]
    history: list[dict[str, float]]
    recipe: dict[str, Any]
    anneal: float
    budget: str
    device: str
    versions: dict[str, str]
    git_commit: str
    command: str
    run_id: str
    imbalance: float = 1.0
    samples_backward_scoring: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    higher_is_better: bool | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def headline(self) -> str:
        """The measure and its value, as the console shows it: "accuracy 97.33%", "matthews 0.4560"."""
        if self.higher_is_better is not None:
            return f"{self.metric} {self.accuracy:.5g}"
        value = f"{self.accuracy:.2%}" if metric_named(self.metric).unit == "%" else f"{self.accuracy:.4f}"
        return f"{self.metric} {value}"


@dataclass(frozen=True)
class Counts:
    """What is known of each sample at the end of every run, shape [N], in the order of the training set.

    Attributes:
        times_trained: int32.
        turns: how many samples had been trained so many times after each epoch, int32, shape [E, C] with C beyond the
            highest count; None where the run did not keep it.
    """

    times_trained: NDArray[np.int32]
    turns: NDArray[np.int32] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Scored(Counts):
    """The same, and how hard each sample is, likewise.

    Attributes:
        loss, entropy: float32, nats, the loss and the memory term: of the laboratory's own tasks evaluated on the final
            model, of a user's function as a step last saw them; then the loss is infinite where none did, NaN where the
            sample is quarantined, and the memory term NaN where steps gave none.
    """

    loss: NDArray[np.float32]
    entropy: NDArray[np.float32]


@dataclass(frozen=True)
class Samples(Scored):
    """Per-sample arrays of a run whose model the laboratory has evaluated, likewise.

    Attributes:
        correct: bool, predicted right against the label trained on; float32 in [0, 1] where a sample makes several
            predictions.
        mislabelled: bool, label was flipped.
    """

    correct: NDArray[Any]
    mislabelled: NDArray[np.bool_]


def save_run(folder: Path, result: Result, samples: Counts) -> None:
    """Write a run's two files; result.json comes last and marks the run as finished."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: array for name, array in vars(samples).items() if array is not None}
    atomic_write(folder / SAMPLES_FILE, lambda new: np.savez_compressed(new, **arrays))
    atomic_write(folder / RESULT_FILE, lambda new: new.write_text(json.dumps(dataclasses.asdict(result), indent=1)))


def load_result(path: Path) -> Result:
    """Read a result.json (or the folder that holds it).

    Raises:
        DataError: missing, damaged or not a result of this schema version.
    """
    return _read(path / RESULT_FILE if path.is_dir() else path, dict)[0]


def save_results(path: Path, results: Iterable[Result]) -> None:
    """Write a comparison's results.json, into an existing folder."""
    text = json.dumps([dataclasses.asdict(result) for result in results], indent=1) + "\n"
    atomic_write(path, lambda new: new.write_text(text))


def load_results(path: Path) -> list[Result]:
    """Read a results.json (or the folder that holds it). Raises DataError as :func:`load_result`."""
    return _read(path / RESULTS_FILE if path.is_dir() else path, list)


def load_samples(folder: Path) -> Samples:
    """Read a run's samples.npz. Raises DataError where it is missing or damaged, or holds the counts alone."""
    return _arrays(folder, Samples)


def load_scored(folder: Path) -> Scored:
    """Likewise, what every run has that was recorded by this version."""
    return _arrays(folder, Scored)


def load_counts(folder: Path) -> Counts:
    """Likewise, what every run has."""
    return _arrays(folder, Counts)


def _arrays(folder: Path, kind: type[Arrays]) -> Arrays:
    path = folder / SAMPLES_FILE
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = [one.name for one in dataclasses.fields(kind) if one.name in stored.files or not one.kw_only]
            return kind(**{name: stored[name] for name in names})
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is missing or damaged ({error}); remove the run's folder and run again.") from error


def _read(path: Path, kind: type) -> list[Result]:
    try:
        loaded = json.loads(path.read_text())
        if not isinstance(loaded, kind):
            raise TypeError(f"it holds a {type(loaded).__name__}")
        entries: Any = loaded if kind is list else [loaded]
        if any(entry["schema_version"] != SCHEMA_VERSION for entry in entries):
            raise DataError(f"{path} was written by another version of emprune; this one reads {SCHEMA_VERSION}.")
        results = [Result(**entry) for entry in entries]
        for result in results:
            _check(result)
        return results
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path} is missing or no results file of emprune ({error}).") from error


def _check(result: Result) -> None:
    """Raise TypeError where a field holds something else than it should."""
    for name, kind in _KINDS.items():
        if not _fits(getattr(result, name), kind):
            raise TypeError(f"{name} is {str(getattr(result, name))[:_MOST_SHOWN]!r}")
    if not math.isfinite(result.accuracy):
        raise TypeError(f"accuracy is {result.accuracy} in {result.run_id}")


def _fits(value: object, kind: Any) -> bool:
    """Whether a JSON value is of a type: str, int, float, Any, or a list or dict of these."""
    if kind is Any:
        return True
    inner = get_args(kind)
    if get_origin(kind) is UnionType:
        return any(_fits(value, one) for one in inner)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(one, inner[0]) for one in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


_KINDS = get_type_hints(Result)
_MOST_SHOWN = 40
