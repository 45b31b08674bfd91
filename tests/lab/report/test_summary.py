"""summary.json: JSON values that agree with the tables."""

import json

from made_results import ACCURACY, comparison, made, made_own

from emprune_lab.report.page import write_report
from emprune_lab.report.statistics import summarise
from emprune_lab.report.summary import summary


def runs():
    short = [made("short", rate, seed, 0.85 + seed / 500) for rate in (0.7, 0.9375) for seed in range(3)]
    return [*comparison(), *short, made_own("infobatch-published", 0.7, 0)]


def test_every_row_and_lossless_rate_is_in_it(tmp_path):
    files = write_report(tmp_path, [*runs(), *comparison(label_noise=0.2)], tmp_path)
    assert files.summary == tmp_path / "summary.json"
    stored = json.loads(files.summary.read_text())
    assert (stored["schema_version"], stored["reference"]) == (1, "random")
    clean, noisy = stored["settings"]
    assert (clean["title"], clean["label_noise"]) == ("digits · mlp · test set · clean", 0.0)
    assert noisy["label_noise"] == 0.2
    assert (clean["metric"], clean["higher_is_better"]) == ("accuracy", True)
    assert {(one["policy"], one["prune_rate"]) for one in noisy["rows"]} == set(ACCURACY)
    assert [one["policy"] for one in clean["lossless"]] == ["short", "random", "lfl", "emp"]
    assert clean["lossless"][-1] == {
        "policy": "emp", "prune_rate": None, "tried": [0.7, 0.9], "minus_full": None, "seconds_saved": None
    }  # fmt: skip


def test_numbers_are_those_of_the_rows():
    stored = {(one["policy"], one["prune_rate"]): one for one in summary(runs())["settings"][0]["rows"]}
    for row in summarise(runs()):
        one = stored[row.policy, row.prune_rate]
        assert one["metrics"]["accuracy"]["mean"]["value"] == row.mean.value
        assert one["own_budget"] == row.own_budget
        for name in ("speed_up", "speed_up_in_seconds", "to_full"):
            found, expected = one["minus_full" if name == "to_full" else name], getattr(row, name)
            assert (found is None) == (expected is None)
            assert found is None or (found["value"], found["low"]) == (expected.value, expected.low)
    assert stored["emp", 0.7]["speed_up"]["high_bound"] in ("", "≥")
    assert stored["full", 0.0]["speed_up"] is None
