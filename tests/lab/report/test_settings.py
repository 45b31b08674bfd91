"""Settings: what keeps runs apart, and that no two of them read alike."""

import dataclasses
import re
from pathlib import Path

import pytest
from contrastive_results import SIMCLR
from made_results import comparison, made

from emprune_lab.records.results import load_results
from emprune_lab.report.settings import Setting, anchors, by_setting, setting_titles, settings_table, short_titles
from emprune_lab.tasks import preset_for, recipe_for
from emprune_lab.tasks.contrastive.settings import Contrastive

STUDIES = Path(__file__).parents[3] / "studies"
RECIPE = recipe_for("digits").as_dict()
TEXT = preset_for("tinyshakespeare").recipe.as_dict()
ALIKE = [
    {},
    {"label_noise": 0.2},
    {"label_noise": 0.2, "anneal": 0.125},
    {"anneal": 0.125},
    {"anneal": 0.25},
    {"anneal": 0.25, "budget": "run"},
    {"budget": "run"},
    {"imbalance": 10.0},
    {"imbalance": 100.0},
    {"split": "validation"},
    {"model": "cnn"},
    {"data": "fashion-mnist"},
    {"recipe": RECIPE | {"max_lr": 0.05}},
    {"recipe": RECIPE | {"max_lr": 0.05, "shift": 2}},
    {"recipe": SIMCLR},
    {"recipe": SIMCLR | {"contrastive": dataclasses.asdict(Contrastive("moco"))}},
    {"recipe": SIMCLR | {"contrastive": SIMCLR["contrastive"] | {"momentum": 0.9}}},
]


def test_every_difference_is_a_setting_with_a_title_and_an_anchor_of_its_own():
    runs = [made(run_id=str(number), **changes) for number, changes in enumerate(ALIKE)]
    settings = list(by_setting(runs))
    assert len(settings) == len(ALIKE)
    for named in (setting_titles(settings), short_titles(settings), anchors(settings)):
        assert list(named) == settings
        assert len(set(named.values())) == len(ALIKE)
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", anchor) for anchor in anchors(settings).values())
    assert not any("{" in title for title in setting_titles(settings).values())


def test_titles_name_what_departs_from_the_plainest_run():
    plain, annealed, unbalanced = (Setting.of(made(**one)) for one in ({}, ALIKE[3], ALIKE[7]))
    titles = setting_titles([plain, annealed, unbalanced])
    assert titles[plain] == "digits · mlp · test set · clean"
    assert titles[annealed] == "digits · mlp · test set · clean · 12.5% annealed"
    assert titles[unbalanced].endswith("clean · imbalance 10")
    text = Setting.of(made(data="tinyshakespeare", recipe=TEXT))
    assert setting_titles([text])[text].endswith("no labels")


def test_short_titles_say_only_what_differs():
    clean, noisy = Setting.of(made(anneal=0.125)), Setting.of(made(anneal=0.125, label_noise=0.2))
    assert list(short_titles([clean, noisy]).values()) == ["clean", "20% wrong labels"]
    plain, annealed = Setting.of(made()), Setting.of(made(anneal=0.125))
    assert list(short_titles([plain, annealed]).values()) == ["clean", "clean, 12.5% annealed"]


def test_what_differs_within_a_method_is_named_and_no_more():
    settings = [
        Setting.of(made(recipe=SIMCLR | {"contrastive": SIMCLR["contrastive"] | {"temperature": one}}))
        for one in (0.5, 0.2)
    ]
    assert [one.rpartition(" · ")[2] for one in setting_titles(settings).values()] == [
        "contrastive temperature 0.5", "contrastive temperature 0.2",
    ]  # fmt: skip


def test_what_a_recipe_does_not_name_has_its_default():
    older = {name: value for name, value in RECIPE.items() if name not in ("optimizer", "nesterov", "precision")}
    assert Setting.of(made(recipe=older)) == Setting.of(made())
    assert Setting.of(made(recipe=RECIPE | {"optimizer": "lars"})) != Setting.of(made())
    method = {name: SIMCLR["contrastive"][name] for name in ("method", "memory", "memory_temperature")}
    assert Setting.of(made(recipe=SIMCLR | {"contrastive": method})) == Setting.of(made(recipe=SIMCLR))


def test_the_table_of_settings_has_the_recipe_policies_and_seeds():
    other = made("emp:beta=2", policy_settings={"beta": 2, "rule": "top"})
    table = settings_table([*comparison(label_noise=0.2), other])
    assert (table["Seeds"], table["Runs of a policy and rate"]) == ("0, 1, 2", "1 to 3")
    assert table["Wrong labels"] == "20 %"
    assert "emp:beta=2 (beta 2, rule top)" in table["Policies"]
    assert {"batch size 32", "max lr 0.1", "epochs 30"} <= set(table["Recipe"].split(" · "))
    assert "clip norm" not in table["Recipe"]
    assert "contrastive temperature 0.5" in settings_table([made(recipe=SIMCLR)])["Recipe"]


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in STUDIES.rglob("results.json")), ids=lambda path: path.name
)
def test_committed_results_load(folder):
    assert by_setting(load_results(folder))
