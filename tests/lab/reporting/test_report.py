"""The report, on small real runs: complete, self-contained, and honest about what is missing."""

import base64
import dataclasses
import io
import re
import shutil
from html import unescape
from html.parser import HTMLParser

import pytest
from made_results import comparison, made, made_own
from PIL import Image

from emprune.errors import ArgumentError
from emprune_lab.reporting.report import write_report
from emprune_lab.reporting.tables import build_tables
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


def test_nothing_is_loaded_from_elsewhere(real):
    *_, html = real
    page = Page(html)
    assert page.loads == []
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert "url(" not in html
    assert "@import" not in html
    assert set(re.findall(r"https?://[^\"'<\s]*", html)) == {
        "https://arxiv.org/abs/2408.16031", "https://arxiv.org/abs/2303.04947",
    }  # fmt: skip


def test_every_image_is_a_png_inside_the_page_and_a_file(real):
    _, _, files, html = real
    page = Page(html)
    # Clean: accuracy, difference, spending, counts, remembered, map, images of lfl and of emp. Noisy: one sheet less.
    assert len(page.images) == len(files.figures) == 8 + 7
    for uri, path in zip(page.images, files.figures, strict=True):
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
    text, markdown = " ".join(Page(html).text).replace("\u00a0", " "), files.table.read_text()
    for table in build_tables(results):
        assert all(said in text for said in (table.setting, table.name.capitalize(), table.note))
        assert all(said in markdown for said in (table.setting, table.name, table.note))
        for cell in (cell for block in table.blocks for line in block.lines for cell in line):
            assert cell.text in text
            assert cell.text in markdown


def test_says_where_it_comes_from_and_escapes_it(real):
    results, *_, html = real
    assert "<&>" not in html
    text = unescape(" ".join(" ".join(Page(html).text).split()))
    for expected in (results[0].git_commit, results[0].device, "torch", "<&>", "beta = 2", "2 epochs, batches of 32"):
        assert expected in text
    assert "One seed in at least one setting" in text


def test_missing_samples_are_named_and_left_out(real, tmp_path):
    results, runs, _, _ = real
    clean = [result for result in results if not result.label_noise]
    for result in clean:
        shutil.copytree(runs / result.run_id, tmp_path / "runs" / result.run_id)
    gone = next(result for result in clean if result.policy == "lfl")
    (tmp_path / "runs" / gone.run_id / "samples.npz").unlink()
    some = write_report(tmp_path / "some", clean, tmp_path / "runs")
    assert "missing or damaged for 1 of the runs" in some.report.read_text()
    assert gone.run_id in some.report.read_text()
    assert len(some.figures) == 8
    none = write_report(tmp_path / "none", clean, tmp_path / "nowhere")
    html = none.report.read_text()
    assert f"missing or damaged for {len(clean)} of the runs" in html
    assert [path.name for path in none.figures] == [
        "digits-accuracy.png", "digits-difference.png", "digits-spending.png",
    ]  # fmt: skip


def test_missing_data_set_is_named_and_its_figures_left_out(real, tmp_path):
    results, runs, _, _ = real
    moved = []
    for result in (result for result in results if result.label_noise):
        moved.append(dataclasses.replace(result, data="fashion-mnist"))
        shutil.copytree(runs / result.run_id, tmp_path / "runs" / result.run_id)
    files = write_report(tmp_path, moved, tmp_path / "runs", data_dir=tmp_path)
    assert "need the data set: " in files.report.read_text()
    assert not any("map" in path.name or "images" in path.name for path in files.figures)


def test_full_alone_is_a_table_without_figures(real, tmp_path):
    results, runs, _, _ = real
    files = write_report(tmp_path, [result for result in results if result.policy == "full"], runs)
    assert files.figures == ()
    assert "full" in files.table.read_text()


def test_two_recipes_of_one_data_set_do_not_overwrite_each_other(real, tmp_path):
    results, *_ = real
    other = [
        dataclasses.replace(result, recipe={**result.recipe, "max_lr": 0.05}, run_id=f"{result.run_id}-other")
        for result in results
        if not result.label_noise
    ]
    files = write_report(tmp_path, [*results, *other], tmp_path)
    assert len(set(files.figures)) == len(files.figures) == 3 * 3


def test_unequal_budgets_and_no_results_are_refused(real, tmp_path):
    results, runs, _, _ = real
    changed = [dataclasses.replace(r, samples_backward=7) if r.policy == "lfl" else r for r in results]
    with pytest.raises(ArgumentError, match="lfl"):
        write_report(tmp_path / "a", changed, runs)
    with pytest.raises(ArgumentError, match="at least one"):
        write_report(tmp_path / "b", [], runs)
    assert not list(tmp_path.iterdir())


def test_reference_and_interval_are_those_asked_for(real, tmp_path):
    results, _, _, html = real
    assert "(Student’s t)" in html
    files = write_report(tmp_path, results, tmp_path, reference="short", interval="bootstrap")
    text = " ".join(Page(files.report.read_text()).text)
    assert "minus short" in text
    assert "Gain on short" in text
    assert "(percentile bootstrap)" in text
    assert "Student’s t" not in text
    assert "minus short" in files.table.read_text()
    with pytest.raises(ArgumentError, match="reference is 'ucb'"):
        write_report(tmp_path, results, tmp_path, reference="ucb")
    with pytest.raises(ArgumentError, match="interval is 'normal'"):
        write_report(tmp_path, results, tmp_path, interval="normal")


def test_settings_that_differ_in_one_thing_have_links_of_their_own(tmp_path):
    changes = [{}, {"anneal": 0.125}, {"anneal": 0.25}, {"imbalance": 10.0}, {"anneal": 0.125, "budget": "run"}]
    results = [made("full", 0.0, **change) for change in changes]
    files = write_report(tmp_path, results, tmp_path)
    html = files.report.read_text()
    anchors = re.findall(r'<section id="([^"]+)"', html)
    assert len(set(anchors)) == len(anchors) == len(changes)
    titles = [unescape(title) for title in re.findall(r"<h2>([^<]+)</h2>", html)][: len(changes)]
    assert len(set(titles)) == len(changes)
    assert all(f'href="#{anchor}"' in html for anchor in anchors)


def test_own_budgets_are_said_not_to_be_ranked(tmp_path):
    results = [*comparison(), *(made_own("infobatch-published", 0.7, seed) for seed in range(3))]
    text = " ".join(Page(write_report(tmp_path, results, tmp_path).report.read_text()).text)
    assert "Budgets of their own, not ranked" in text
    assert "infobatch-published, asked for 0.7, trains 1,500 samples" in text
