"""What reports say of contrastive runs and of text: true of them, and apart from labelled data."""

import dataclasses
import re
from html import unescape

import pytest
from contrastive_results import SIMCLR, contrastive_run, contrastive_runs, samples_of
from made_results import comparison, is_drawn, made

from emprune_lab.records.results import save_run
from emprune_lab.reporting import figures
from emprune_lab.reporting.captions import difference_caption
from emprune_lab.reporting.overview import overview_markdown, tables_markdown
from emprune_lab.reporting.recipes import recipe_in_words
from emprune_lab.reporting.report import write_report
from emprune_lab.reporting.sections import build_section
from emprune_lab.reporting.settings import Setting, anchors, by_setting, setting_titles, short_titles
from emprune_lab.reporting.statistics import summarise
from emprune_lab.tasks import preset_for
from emprune_lab.tasks.contrastive.settings import METHODS, Contrastive, method_name

MOCO = SIMCLR | {"contrastive": dataclasses.asdict(Contrastive("moco", temperature=0.2, queue=8192, momentum=0.995))}
TEXT = preset_for("tinyshakespeare").recipe.as_dict() | {"precision": "bfloat16"}
UNTRUE_OF_VIEWS = (
    "predicts",
    "predicted",
    "as labelled",
    "clean",
    "wrong label",
    "no augmentation",
    "smoothing",
    "entropy of its",
)


def text_run(policy="emp", rate=0.7, seed=0, bits=2.0, **changes):
    fields = {"data": "tinyshakespeare", "model": TEXT["model"], "recipe": TEXT, "metric": "bits per character"}
    return made(policy, rate, seed, bits, **{**fields, **changes})


def contrastive(**changes):
    """The setting of a contrastive run with other settings of its method."""
    return Setting.of(made(recipe=SIMCLR | {"contrastive": SIMCLR["contrastive"] | changes}))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report on contrastive runs with all their arrays, as text, and its files."""
    folder, runs = (
        tmp_path_factory.mktemp("contrastive"),
        contrastive_runs(seeds=2, rates=(0.7,), policies=("full", "random", "lfl", "emp")),
    )
    for run in runs:
        save_run(folder / "runs" / run.run_id, run, samples_of(run))
    files = write_report(folder, runs, folder / "runs")
    html = re.sub(r"<style>.*?</style>|<[^>]+>", " ", files.report.read_text(), flags=re.DOTALL)
    return " ".join(unescape(html).replace("\u00a0", " ").split()), files


def test_the_report_has_every_picture_and_table(page):
    text, files = page
    names = [path.stem.removeprefix("digits-simclr-") for path in files.figures]
    assert names == [
        "accuracy", "difference", "spending", "memory", "counts", "remembered", "map", "images-lfl", "images-emp",
    ]  # fmt: skip
    for part in (
        "digits · resnet8-thin · test set · SimCLR, no labels in training", "All measures", "instance retrieval",
        "How the memory term moves", "Loss against memory term", "each of which is two views",
        "Labels none in training", "is known at second hand too", "class, which training did not see,",
        "random reaches",
    ):  # fmt: skip
        assert part in text


def test_nothing_untrue_is_said_of_contrastive_runs(page):
    text, files = page
    before, _, _ = text.partition("What is the paper’s")
    for words in UNTRUE_OF_VIEWS:
        assert words not in before
        assert words not in files.table.read_text()


def test_contrastive_recipes_in_words():
    words = recipe_in_words(contrastive_run("emp", 0.7, 0))
    assert "SimCLR: two augmented views of each sample, projected to 128 dimensions, loss at temperature 0.5;" in words
    assert "the base encoder’s output, temperature 0.2" in words
    assert "queue" not in words
    words = recipe_in_words(made(recipe=MOCO))
    assert "MoCo v2" in words
    assert "temperature 0.2, a queue of 8,192 keys of an encoder with momentum 0.995;" in words
    aligned = MOCO | {"contrastive": MOCO["contrastive"] | {"memory": "alignment"}}
    assert recipe_in_words(made(recipe=aligned)).endswith("the two views in the base encoder’s output")


def test_every_method_has_words():
    assert [method_name(method) for method in METHODS] == ["SimCLR", "MoCo v2"]


def test_other_recipes_in_words():
    assert recipe_in_words(made()).endswith("label smoothing 0, no augmentation")
    assert recipe_in_words(text_run()).endswith("windows of 64 tokens (bpe2048), dropout 0, bfloat16 autocast")
    assert "label smoothing" not in recipe_in_words(text_run())
    sentences = recipe_in_words(made(data="cola", recipe=preset_for("cola").recipe.as_dict()))
    assert "label smoothing 0, gradients clipped to a norm of 1, at most 32 tokens a sample" in sentences


def test_settings_name_their_method_and_keep_apart():
    runs = [
        made(run_id="a"), made(run_id="b", recipe=SIMCLR), made(run_id="c", recipe=MOCO),
        made(run_id="d", recipe=SIMCLR | {"contrastive": SIMCLR["contrastive"] | {"momentum": 0.9}}),
    ]  # fmt: skip
    settings = list(by_setting(runs))
    for named in (setting_titles(settings), short_titles(settings), anchors(settings)):
        assert len(set(named.values())) == len(runs)
    titles = "\n".join(setting_titles(settings).values())
    for part in ("SimCLR, no labels in training", "MoCo v2, no labels in training", "key momentum 0.9", "clean labels"):
        assert part in titles
    assert "{" not in titles


def test_what_differs_within_a_method_is_named_and_no_more():
    settings = [contrastive(), contrastive(temperature=0.2)]
    assert [one.rpartition(" · ")[2] for one in setting_titles(settings).values()] == [
        "temperature 0.5", "temperature 0.2",
    ]  # fmt: skip
    supervised, views = Setting.of(made()), contrastive()
    titles = setting_titles([supervised, views])
    assert titles[supervised].endswith("clean labels · batch size 32 · model mlp")
    assert titles[views].endswith("no labels in training · batch size 256 · model resnet8-thin")


def test_an_older_method_has_the_defaults_of_what_it_did_not_know():
    older = SIMCLR | {"contrastive": {"method": "simclr", "memory": "hidden", "memory_temperature": 0.2}}
    assert Setting.of(made(recipe=older)) == contrastive()


def test_text_has_no_labels():
    setting = Setting.of(text_run())
    assert setting_titles([setting])[setting] == "tinyshakespeare · gpt-4x128 · test set · no labels"
    runs = [text_run(policy, seed=seed) for policy in ("random", "emp") for seed in range(2)]
    assert overview_markdown(runs).startswith("| policy | rate 0.7 |")
    markdown = tables_markdown(runs)
    assert "clean" not in markdown
    assert "part of a sample’s tokens that the final model predicts right" in markdown


def test_text_keeps_its_figure_and_facts(tmp_path):
    history = [{"kept": 10, "seconds": 1.0, "bits per character": 2.0}] * 2
    runs = [text_run(policy, history=history, run_id=policy) for policy in ("random", "emp")]
    section = build_section(summarise(runs), runs, tmp_path, "text", "text")
    assert "text-learning-0.7" in [picture.name for picture in section.pictures]
    assert dict(section.facts)["Labels"] == "none: a sample’s targets are its own tokens"
    contrasted = [contrastive_run(policy, 0.7, 0) for policy in ("random", "emp")]
    for run in contrasted:  # a history with the headline is still none of held-out text
        for entry in run.history:
            entry["knn"] = 0.5
    names = [one.name for one in build_section(summarise(contrasted), contrasted, tmp_path, "x", "x").pictures]
    assert not any("learning" in name for name in names)


def test_wrong_labels_are_told_of_where_there_are_some():
    assert "same wrong labels" in difference_caption(summarise(comparison(label_noise=0.2)))
    assert "wrong labels" not in difference_caption(summarise(comparison()))


def test_a_report_of_two_kinds_explains_both(tmp_path):
    runs = [*comparison(), *contrastive_runs(seeds=1)]
    text = " ".join(write_report(tmp_path, runs, tmp_path).report.read_text().split())
    remembered = re.search(r"<b>remembered</b> is (.*?)</li>", text)[1]
    assert "predicts as labelled" in remembered
    assert "; in other sections the part of the training set that the final model retrieves" in remembered


def test_the_map_of_a_memory_term_has_no_lines_of_classes():
    arrays = {policy: samples_of(contrastive_run(policy, 0.7, 0)) for policy in ("lfl", "emp")}
    figure = figures.map_figure(arrays, None)
    first = figure.axes[0]
    assert (first.get_xscale(), first.get_yscale()) == ("linear", "linear")
    assert not first.lines
    assert "memory term" in [text.get_text() for text in figure.texts]
    assert is_drawn(figure)


def test_arrays_of_contrastive_runs_can_be_drawn():
    runs = {
        (policy, rate): [samples_of(contrastive_run(policy, rate, seed)) for seed in range(2)]
        for policy in ("random", "lfl", "emp")
        for rate in (0.5, 0.7)
    }
    runs["emp", 0.7][0].correct[0] = False
    halves = [dataclasses.replace(one, correct=one.correct / 2) for one in runs["lfl", 0.7]]  # one view of two
    runs["lfl", 0.7] = halves
    assert is_drawn(figures.counts_figure(runs))
    figure = figures.remembered_figure(runs)
    labels = [text.get_text() for axes in figure.axes for text in axes.texts]
    share = 100 * sum(float(one.correct.sum()) for one in halves) / sum(len(one.correct) for one in halves)
    assert f" {share:.1f}" in labels
    assert is_drawn(figure)
