"""The page in a browser, as it lies there: silent, offline, within the window, light and dark."""

import pytest
from browsing import Visit

WIDTHS = (400, 1000, 1600)
FITTED = """return [...document.querySelectorAll(".chart")].every(
    (one) => one.clientWidth > 100 && one.querySelector("canvas").clientWidth === one.clientWidth)"""
PAGES = ("digits", "sentences", "own")


@pytest.fixture(params=PAGES)
def page(request):
    made = request.getfixturevalue(request.param)
    return made[0] if isinstance(made, tuple) else made


@pytest.mark.parametrize("dark", [False, True])
def test_the_console_is_silent_and_nothing_is_asked_of_a_network(browser, page, dark):
    visit = Visit(browser, page, dark=dark)
    for _ in range(3):
        visit.one("button.theme").click()
    for field in visit.all(".view select"):
        for value in visit.run("return [...arguments[0].options].map((one) => one.value)", field):
            visit.choose(field, value)
    assert visit.messages() == []
    elsewhere, asked = visit.loaded()
    assert elsewhere == []
    assert asked >= 1  # the page itself: what is loaded is seen


def test_a_page_that_speaks_and_loads_is_caught(browser, tmp_path):
    loud = tmp_path / "loud.html"
    loud.write_text(
        '<body style="width: 3000px"><script>console.error("no")</script><img src="http://localhost:9/a.png">'
    )
    visit = Visit(browser, loud, views=False)
    assert any("no" in message for message in visit.messages())
    assert visit.loaded()[0] == ["http://localhost:9/a.png"]
    assert "the page" in visit.too_wide()


def test_nothing_reaches_beyond_the_window(browser, page):
    visit = Visit(browser, page, WIDTHS[0])
    for width in WIDTHS:
        visit.widen(width)
        visit.until(lambda width=width: visit.run("return innerWidth") == width)
        visit.until(lambda: visit.run(FITTED))
        assert visit.too_wide() == []


def test_dark_is_dark_and_light_is_light_by_system_and_by_button(browser, digits):
    def brightness(visit):
        return visit.run(r"return getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)[0]")

    visit = Visit(browser, digits[0], views=False)
    assert brightness(visit) == 255
    for expected in ("light", "dark", "system"):
        visit.one("button.theme").click()
        assert expected in visit.one("button.theme").text
        assert brightness(visit) == (22 if expected == "dark" else 255)
    assert brightness(Visit(browser, digits[0], dark=True, views=False)) == 22


def test_every_line_of_the_contents_leads_somewhere(browser, digits):
    visit = Visit(browser, digits[0], 1600, views=False)
    anchors = [link.get_attribute("href").partition("#")[2] for link in visit.all("#contents a")]
    assert len(anchors) == len(set(anchors)) > 10
    for anchor in anchors:
        assert visit.run("return document.getElementById(arguments[0]) !== null", anchor), anchor
    last = visit.all("#contents a")[-1]
    last.click()
    visit.until(lambda: visit.run("return document.getElementById('notes').getBoundingClientRect().top < 300"))
    visit.until(lambda: last.get_attribute("aria-current") == "true")


def test_the_contents_unfold_by_keyboard_on_a_narrow_screen(browser, digits):
    from selenium.webdriver.common.keys import Keys

    visit = Visit(browser, digits[0], 400, views=False)
    assert not visit.one("#contents").is_displayed()
    visit.press(Keys.TAB, Keys.TAB, Keys.ENTER)  # past the link that skips to the content
    assert visit.one("#contents").is_displayed()
    visit.press(Keys.ESCAPE)
    assert not visit.one("#contents").is_displayed()


def test_unfinished_runs_are_said(browser, digits, own):
    assert (
        "14 runs are finished and shown here; 1 more has begun"
        in Visit(browser, digits[0], views=False).one("main").text
    )
    assert "has begun" not in Visit(browser, own, views=False).one("main").text


def test_the_answer_stands_on_top_of_a_page_of_ones_own_data(browser, own):
    visit = Visit(browser, own, views=False)
    answer = visit.one(".answer")
    assert "emp-gated" in answer.text
    assert answer.location["y"] < visit.one("h2").location["y"]
    views = [view.get_attribute("data-view") for view in visit.all(".view")]
    assert views == ["metric", "curves", "turns", "map", "sheet"]
