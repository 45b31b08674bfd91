"""Results that are read: a damaged one is named."""

import json

import pytest

from emprune.errors import DataError
from emprune_lab.runs.runner import run
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for

SPEC = RunSpec("digits", "emp", 0.7, 0, recipe_for("digits").changed(epochs=3, shift=1))


def test_damaged_result_is_named(tmp_path):
    run(SPEC, tmp_path)
    (tmp_path / "result.json").write_text('{"accuracy": 1}')
    with pytest.raises(DataError, match=r"result\.json is missing or no results file"):
        run(SPEC, tmp_path)


def test_a_measure_that_is_no_number_is_named(tmp_path):
    run(SPEC, tmp_path)
    written = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps({**written, "accuracy": float("nan")}))
    with pytest.raises(DataError, match=r"result\.json .* \(accuracy is nan in digits-emp"):
        run(SPEC, tmp_path)
