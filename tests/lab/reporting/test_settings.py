"""Settings: what keeps runs apart, and that no two of them read alike."""

import re
from pathlib import Path

import pytest
from made_results import made

from emprune_lab.records.results import load_results
from emprune_lab.reporting.settings import Setting, anchors, by_setting, setting_titles, short_titles
from emprune_lab.tasks import recipe_for

RESULTS = Path(__file__).parents[3] / "results"
RECIPE = recipe_for("digits").as_dict()
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
]


def test_every_difference_is_a_setting_with_a_title_and_an_anchor_of_its_own():
    runs = [made(run_id=str(number), **changes) for number, changes in enumerate(ALIKE)]
    settings = list(by_setting(runs))
    assert len(settings) == len(ALIKE)
    for named in (setting_titles(settings), short_titles(settings), anchors(settings)):
        assert list(named) == settings
        assert len(set(named.values())) == len(ALIKE)
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", anchor) for anchor in anchors(settings).values())


def test_titles_name_what_departs_from_the_plainest_run():
    plain, annealed, unbalanced = (Setting.of(made(**one)) for one in ({}, ALIKE[3], ALIKE[7]))
    titles = setting_titles([plain, annealed, unbalanced])
    assert titles[plain] == "digits · mlp · test set · clean labels"
    assert titles[annealed].endswith("last 12.5 % of the epochs on all data, rate counted per epoch")
    assert titles[unbalanced].endswith("largest class 10 times the smallest")
    assert anchors([plain, annealed, unbalanced])[annealed] == "digits-anneal0.125"
    assert anchors([plain, annealed, unbalanced])[unbalanced] == "digits-imbalance10"


def test_short_titles_say_only_what_differs():
    clean, noisy = Setting.of(made(anneal=0.125)), Setting.of(made(anneal=0.125, label_noise=0.2))
    assert list(short_titles([clean, noisy]).values()) == ["clean", "20% wrong labels"]
    plain, annealed = Setting.of(made()), Setting.of(made(anneal=0.125))
    assert list(short_titles([plain, annealed]).values()) == ["clean", "clean, 12.5% annealed"]


def test_what_a_recipe_does_not_name_has_its_default():
    older = {name: value for name, value in RECIPE.items() if name not in ("optimizer", "nesterov", "precision")}
    assert Setting.of(made(recipe=older)) == Setting.of(made())
    assert Setting.of(made(recipe=RECIPE | {"optimizer": "lars"})) != Setting.of(made())


@pytest.mark.parametrize("folder", sorted(path.name for path in RESULTS.iterdir() if path.is_dir()))
def test_committed_results_load(folder):
    if (RESULTS / folder / "results.json").is_file():
        assert by_setting(load_results(RESULTS / folder))
