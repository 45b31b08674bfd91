"""The report, on small real runs: complete, self-contained, and honest about what is missing."""

import base64
import dataclasses
import io
import re
import shutil
import sys
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files as files_of

import pytest
from contrastive_results import contrastive_runs, samples_of
from made_results import comparison, made
from PIL import Image

from emprune.errors import ArgumentError
from emprune_lab.records.results import save_run
from emprune_lab.report import figures
from emprune_lab.report.page import write_report
from emprune_lab.report.tables import build_tables
from emprune_lab.runs.runner import run
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for

RECIPE = recipe_for("digits").changed(epochs=2)
LOADING = {"src", "srcset", "href", "data", "poster", "action", "background"}


class Page(HTMLParser):
    """Collects images, everything that a browser would load, and the text."""

    def __init__(self, html):
        super().__init__()
        self.images, self.loads, self.tags, self.text = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if tag == "img" and name == "src":
                self.images.append(value)
            elif name in LOADING and tag != "a":
                self.loads.append((tag, name, value))

    def handle_data(self, text):
        self.text.append(text)


def runs_of(folder, policies, rates, seeds, noise=0.0):
    results = []
    for seed in range(seeds):
        for policy in policies:
            for rate in [0.0] if policy == "full" else rates:
                spec = RunSpec("digits", policy, rate, seed, RECIPE, label_noise=noise)
                results.append(run(spec, folder / spec.run_id, command="emprune compare <&> --seeds 2"))
    return results


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Runs of two settings, their folder, and the report on them."""
    folder = tmp_path_factory.mktemp("report")
    results = runs_of(folder / "runs", ["full", "short", "random", "lfl", "emp"], [0.5, 0.8], 2)
    results += runs_of(folder / "runs", ["full", "random", "emp:beta=2"], [0.8], 1, noise=0.2)
    files = write_report(folder / "out", results, folder / "runs")
    return results, folder / "runs", files, files.report.read_text()


def names_of(files, anchor):
    return [path.stem.removeprefix(f"{anchor}-") for path in files.figures if path.stem.startswith(f"{anchor}-")]


def test_nothing_is_loaded_from_elsewhere(real):
    *_, html = real
    page = Page(html)
    assert page.loads == []  # scripts among them: there is none with an address
    assert not {"link", "iframe", "object", "embed"} & set(page.tags)
    assert "default-src 'none'; img-src data: blob:" in html  # a browser would refuse, too
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)  # the library names its homes
    assert "url(" not in own
    assert "@import" not in own
    assert set(re.findall(r"https?://[^\"'<\s]*", own)) == {
        "https://arxiv.org/abs/2408.16031", "https://arxiv.org/abs/2303.04947",
    }  # fmt: skip


def test_the_page_carries_its_library_with_name_version_and_licences(real):
    *_, html = real
    texts = (files_of("emprune_lab.report") / "vendor" / "LICENSES.txt").read_text()
    assert "Apache ECharts 6.1.0" in texts
    for licence in ("Apache License", "Copyright (c) 2017, Baidu Inc.", "Mike Bostock", "Microsoft Corporation"):
        assert licence in texts
    assert texts.strip() in html
    assert "drawn by Apache ECharts" in html


def test_every_figure_is_a_file_and_those_without_an_interactive_twin_are_inside_the_page(real):
    _, _, files, html = real
    page = Page(html)
    rows, single = ["accuracy", "difference", "equal", "spending"], ["counts", "remembered", "map"]
    assert names_of(files, "digits-mlp-test-set-clean") == [*rows, *single, "images-lfl", "images-emp"]
    rows.remove("equal")  # without short there is nothing to read a speed-up from
    assert names_of(files, "digits-mlp-test-set-20-wrong-labels") == [*rows, *single, "images-emp-beta-2"]
    alone = [path for path in files.figures if re.search("-(difference|equal|remembered)$", path.stem)]
    assert len(alone) == 5
    for path in files.figures:
        assert path.read_bytes().startswith(b"\x89PNG")
    for uri, path in zip(page.images, alone, strict=True):
        kind, _, content = uri.partition(",")
        assert kind == "data:image/png;base64"
        png = base64.b64decode(content, validate=True)
        image = Image.open(io.BytesIO(png))
        image.load()
        assert image.format == "PNG"
        assert png == path.read_bytes()
        assert path.parent == files.report.parent / "figures"


def test_every_number_of_the_tables_is_in_the_page_and_in_the_markdown(real):
    results, _, files, html = real
    text, markdown = " ".join(Page(html).text), files.table.read_text()
    for table in build_tables(results):
        assert all(said in text for said in (table.setting, table.name.capitalize(), table.note, *table.columns))
        assert all(said in markdown for said in (table.setting, table.name, table.note))
        for cell in (cell for line in table.lines for cell in line):
            assert cell.text in text
            assert cell.text in markdown


def test_says_where_it_comes_from_and_escapes_it(real):
    results, *_, html = real
    assert "<&>" not in html
    text = unescape(" ".join(" ".join(Page(html).text).split()))
    for expected in (results[0].git_commit, results[0].device, "torch", "<&>", "beta 2", "batch size 32"):
        assert expected in text


def test_a_file_dropped_into_the_folder_is_a_figure_of_the_report(tmp_path, monkeypatch):
    (tmp_path / "hello.py").write_text(
        "from emprune_lab.report.figure import ReportFigure\n"
        "from emprune_lab.report.style import new_figure\n"
        "FIGURE = ReportFigure('hello', 'Hello <title>', 'How to read it.', lambda comparison: new_figure(2),\n"
        "    lambda comparison: comparison.setting.label_noise > 0)\n"
    )
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(tmp_path)])
    files = write_report(tmp_path / "out", [*comparison(), *comparison(label_noise=0.2)], tmp_path)
    monkeypatch.delitem(sys.modules, "emprune_lab.report.figures.hello")
    assert "hello" in names_of(files, "digits-mlp-test-set-20-wrong-labels")
    assert "hello" not in names_of(files, "digits-mlp-test-set-clean")
    assert '-hello">Hello &lt;title&gt;</h3>' in files.report.read_text()


def test_missing_samples_are_named_and_left_out(real, tmp_path):
    results, runs, _, _ = real
    clean = [result for result in results if not result.label_noise]
    for result in clean:
        shutil.copytree(runs / result.run_id, tmp_path / "runs" / result.run_id)
    gone = next(result for result in clean if result.policy == "lfl")
    (tmp_path / "runs" / gone.run_id / "samples.npz").unlink()
    some = write_report(tmp_path / "some", clean, tmp_path / "runs")
    assert f"missing or damaged for 1 of the runs ({gone.run_id})" in some.report.read_text()
    assert len(some.figures) == 9
    none = write_report(tmp_path / "none", clean, tmp_path / "nowhere")
    assert f"missing or damaged for {len(clean)} of the runs" in none.report.read_text()
    assert names_of(none, "digits-mlp-test-set-clean") == ["accuracy", "difference", "equal", "spending"]


def test_missing_data_set_is_named_and_its_figures_left_out(real, tmp_path):
    results, runs, _, _ = real
    moved = []
    for result in (result for result in results if result.label_noise):
        moved.append(dataclasses.replace(result, data="fashion-mnist"))
        shutil.copytree(runs / result.run_id, tmp_path / "runs" / result.run_id)
    files = write_report(tmp_path, moved, tmp_path / "runs", data_dir=tmp_path)
    html = files.report.read_text()
    for title in ("Loss against memory term", "Images trained most and least"):
        assert f'<p class="missing">{title}: ' in html
    assert not any("map" in path.name or "images" in path.name for path in files.figures)


def test_contrastive_runs_have_every_figure_and_table(tmp_path):
    runs = contrastive_runs(seeds=2, rates=(0.7,), policies=("full", "random", "lfl", "emp"))
    for run_ in runs:
        save_run(tmp_path / "runs" / run_.run_id, run_, samples_of(run_))
    files = write_report(tmp_path, runs, tmp_path / "runs")
    assert names_of(files, "digits-resnet8-thin-test-set-simclr") == [
        "accuracy", "difference", "spending", "training-0.7", "counts", "remembered", "map", "images-lfl", "images-emp",
    ]  # fmt: skip
    assert "All measures" in files.report.read_text()


def test_full_alone_is_a_table_without_figures(real, tmp_path):
    results, runs, _, _ = real
    files = write_report(tmp_path, [result for result in results if result.policy == "full"], runs)
    assert files.figures == ()
    assert "full" in files.table.read_text()


def test_unequal_budgets_and_no_results_are_refused(real, tmp_path):
    results, runs, _, _ = real
    changed = [dataclasses.replace(r, samples_backward=7) if r.policy == "lfl" else r for r in results]
    with pytest.raises(ArgumentError, match="lfl"):
        write_report(tmp_path / "a", changed, runs)
    with pytest.raises(ArgumentError, match="at least one"):
        write_report(tmp_path / "b", [], runs)
    assert not list(tmp_path.iterdir())


def test_the_reference_is_the_one_asked_for(real, tmp_path):
    results, _, _, html = real
    assert "by Student’s t" in html
    files = write_report(tmp_path, results, tmp_path, reference="short")
    text = " ".join(Page(files.report.read_text()).text)
    assert "minus short" in text
    assert "minus short" in files.table.read_text()
    with pytest.raises(ArgumentError, match="reference is 'ucb'"):
        write_report(tmp_path, results, tmp_path, reference="ucb")


def test_every_setting_has_a_link_of_its_own(tmp_path):
    changes = [{}, {"anneal": 0.125}, {"anneal": 0.25}, {"imbalance": 10.0}, {"anneal": 0.125, "budget": "run"}]
    html = write_report(tmp_path, [made("full", 0.0, **one) for one in changes], tmp_path).report.read_text()
    anchors = re.findall(r'<section id="([^"]+)"', html)
    assert len(set(anchors)) == len(anchors) == len(changes) + 1
    assert all(f'href="#{anchor}"' in html for anchor in anchors)
