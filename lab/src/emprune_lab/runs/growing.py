"""A comparison's results.json while it grows: every finished run is in it, those of earlier calls too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from emprune.errors import DataError
from emprune_lab.records.results import RESULTS_FILE, Result, load_results, save_results
from emprune_lab.specs.spec import RunSpec


class GrowingResults:
    """The results file of a comparison's folder.

    A run that the file holds is finished, also where the folder of the run itself is gone: on a machine whose
    disk does not last, this one small file is enough to go on.

    Args:
        folder: the comparison's.
        specs: its runs.

    Raises:
        DataError: the file is damaged, or belongs to another experiment; it stays as it is.
    """

    def __init__(self, folder: Path, specs: Sequence[RunSpec]) -> None:
        self.path = folder / RESULTS_FILE
        self._results = {result.run_id: result for result in load_results(self.path)} if self.path.is_file() else {}
        asked = {spec.run_id: spec for spec in specs}
        kinds = {_kind(spec.data, spec.split, spec.imbalance, spec.recipe.as_dict()) for spec in specs}
        for result in self._results.values():
            kind = _kind(result.data, result.split, result.imbalance, result.recipe)
            if result.run_id not in asked and kind not in kinds:
                raise DataError(
                    f"{self.path} holds results of another experiment ({result.model} on {result.data}, "
                    f"{result.split} split, run {result.run_id}). Name another folder with --out, or move it away."
                )

    def missing(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """The specs without a result."""
        return [spec for spec in specs if spec.run_id not in self._results]

    def all(self) -> list[Result]:
        """Every result, in the order in which they came."""
        return list(self._results.values())

    def add(self, result: Result) -> None:
        """Write one more."""
        self._results[result.run_id] = result
        save_results(self.path, self.all())


def _kind(data: str, split: str, imbalance: float, recipe: dict[str, object]) -> tuple[str, str, float, str]:
    return data, split, imbalance, json.dumps(recipe, sort_keys=True)
