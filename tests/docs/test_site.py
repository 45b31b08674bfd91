"""The documentation builds without a warning, its links lead somewhere, and a browser shows it from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Visit, start_browser

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as ``make docs`` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", str(folder)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    started = start_browser()
    yield started
    started.quit()


def test_every_link_leads_somewhere(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "links.py"), str(site)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken links" in done.stdout


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text('<a href="two.html#there">x</a><a href="two.html#gone">x</a><img src="no.png">')
    (tmp_path / "two.html").write_text('<p id="there"></p><a href="https://example.org">x</a><a href="#nowhere">x</a>')
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "links.py"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "one.html: two.html#gone", "one.html: no.png", "two.html: #nowhere",
        "3 broken links; 1 addresses elsewhere were not looked at",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [400, 1600])
def test_pages_fit_say_nothing_and_ask_for_nothing(site: Path, browser: Any, width: int) -> None:
    for name in ("docs/index", "docs/tutorial", "docs/how", "docs/results", "docs/first-run", "docs/api/pruner",
                 "docs/api/scoring", "studies/map/README", "CHANGELOG"):  # fmt: skip
        page = Visit(browser, site / f"{name}.html", width, views=False)
        wide = page.run("""
            const scrolls = one => {
                for (; one.tagName !== "BODY"; one = one.parentElement)
                    if (/auto|scroll|hidden/.test(getComputedStyle(one).overflowX)) return true;
            };
            const wide = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
            for (const one of document.querySelectorAll("article *")) {
                const box = one.getBoundingClientRect();
                if (box.width && box.right > innerWidth + 1 && !scrolls(one)) wide.push(one.outerHTML.slice(0, 80));
            }
            return wide;""")
        assert wide == [], name
        broken = page.run("return [...document.images].filter(one => !one.naturalWidth).map(one => one.src)")
        assert broken == [], name
        assert page.messages() == [], name
        assert page.loaded()[0] == [], name


def test_search_works_from_a_file(site: Path, browser: Any) -> None:
    page = Visit(browser, site / "docs" / "tutorial.html", 1600, views=False)
    field = page.one("input[name=q]")
    field.send_keys("quarantine\n")
    page.until(lambda: page.all("#search-results li a"))
    found = [one.text for one in page.all("#search-results li a")]
    assert "Limits" in found
    next(one for one in page.all("#search-results li a") if one.text == "Limits").click()
    page.until(lambda: page.run("return location.pathname").endswith("docs/limits.html"))
    assert page.messages() == []
    assert page.loaded()[0] == []


def test_the_sites_root_leads_to_its_contents(site: Path, browser: Any) -> None:
    page = Visit(browser, site / "index.html", 400, views=False)
    page.until(lambda: page.run("return location.pathname").endswith("docs/index.html"))
