"""The page in a browser, as it is used: sorted, filtered, slid through, pointed at and read by keyboard."""

import base64
import re

import numpy as np
import pytest
from browsing import TEXTS, Visit, data_of

from emprune.inspection import suspects
from emprune_lab.records.results import load_samples

SECTION = "digits-mlp-test-set-10-wrong-labels"


@pytest.fixture
def visit(browser, digits):
    return Visit(browser, digits[0], 1600, views=False)


def rows(visit, column):
    lines = visit.all("table.explore:first-of-type tbody tr")[:7]
    return [line.find_elements("css selector", "td")[column].text for line in lines if line.is_displayed()]


def test_a_heading_sorts_down_up_and_back(visit):
    before = rows(visit, 2)
    values = sorted(float(text.split(" ")[0]) for text in before)
    heading = visit.all("table.explore th")[2]
    button = heading.find_element("css selector", "button")
    for state, expected in (("descending", values[::-1]), ("ascending", values)):
        button.click()
        assert heading.get_attribute("aria-sort") == state
        assert [float(text.split(" ")[0]) for text in rows(visit, 2)] == expected
    button.click()
    assert rows(visit, 2) == before != [f"{value}" for value in values]
    assert heading.get_attribute("aria-sort") == "none"


def test_signed_differences_sort_by_value_with_blanks_last_and_by_keyboard(visit):
    from selenium.webdriver.common.keys import Keys

    visit.focus(visit.all("table.explore th button")[3])
    visit.press(Keys.ENTER, Keys.SPACE)  # ascending
    found = rows(visit, 3)
    numbers = [float(text.split(" ")[0].replace("−", "-")) for text in found if text != "–"]
    assert numbers == sorted(numbers)
    assert len(numbers) == 4
    assert found[len(numbers) :] == ["–"] * 3


def test_a_filter_shows_the_rows_with_all_its_words(visit):
    field = visit.one(".filter")
    field.send_keys("emp 0.8")
    assert (rows(visit, 0), rows(visit, 1)) == (["0.8"], ["emp"])
    assert visit.one(".tools output").text == "1 of 7 rows"
    visit.run("arguments[0].value = ''; arguments[0].dispatchEvent(new Event('input'))", field)
    assert len(rows(visit, 0)) == 7


def test_the_slider_goes_through_the_epochs_and_their_counts(visit, digits):
    from selenium.webdriver.common.keys import Keys

    view = visit.view("turns")
    slider, output = (view.find_element("css selector", one) for one in ("input[type=range]", "output"))
    said = lambda: [one.text.replace("\xa0", " ") for one in view.find_elements("css selector", ".panel p")]  # noqa: E731
    assert output.text == "4 of 4"
    _, results = digits
    run_ids = [one.run_id for one in results if (one.policy, one.prune_rate) == ("emp", 0.8)]
    folder = digits[0].parent.parent / "runs"
    turns = sum(load_samples(folder / one).turns[:, :1].sum(axis=1) for one in run_ids)
    never = [f"never {100 * count / 1197 / 2:.1f} %" for count in turns]
    assert said()[-1].endswith(never[-1])
    visit.focus(slider)
    visit.press(Keys.HOME)
    assert output.text == "1 of 4"
    assert said()[-1].endswith(never[0])
    visit.press(Keys.ARROW_RIGHT)
    assert output.text == "2 of 4"
    assert said()[-1].endswith(never[1])
    assert never[1] != never[0]


def test_the_legend_hides_and_shows_a_policy(visit):
    view = visit.view("metric")
    names = "return echarts.getInstanceByDom(arguments[0]).getOption().series.map((one) => one.name)"
    chart = view.find_element("css selector", ".chart")
    button = next(one for one in view.find_elements("css selector", ".legend button") if one.text == "emp")
    assert "emp" in visit.run(names, chart)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert "emp" not in visit.run(names, chart)
    button.click()
    assert "emp" in visit.run(names, chart)


@pytest.mark.parametrize(
    ("over", "label"), [("rate", "prune rate"), ("samples", "samples trained"), ("seconds", "seconds")]
)
def test_the_metric_value_stands_over_rate_samples_and_seconds(visit, digits, over, label):
    view = visit.view("metric")
    visit.choose(view.find_element("css selector", "select"), over)
    option = visit.run(
        "const o = echarts.getInstanceByDom(arguments[0]).getOption(); return [o.xAxis[0].name, o.yAxis[0].name,"
        "o.series.filter((s) => s.name === 'emp' && s.data.length).map((s) => s.data.map((d) => d.value))[0],"
        "o.series.filter((s) => s.type === 'custom').length]", view.find_element("css selector", ".chart"),
    )  # fmt: skip
    assert label in option[0]
    assert option[1] == "accuracy, %"
    means = [
        100 * np.mean([one.accuracy for one in digits[1] if (one.policy, one.prune_rate) == ("emp", rate)])
        for rate in (0.5, 0.8)
    ]
    assert sorted(value for _, value in option[2]) == pytest.approx(sorted(means))
    assert option[3] >= 3  # intervals, one series a policy


def test_a_point_of_the_chart_is_told_by_keyboard(visit):
    from selenium.webdriver.common.keys import Keys

    view = visit.view("metric")
    visit.focus(view.find_element("css selector", ".chart"))
    visit.press(Keys.END)
    told = visit.until(lambda: [one.text for one in visit.all(".tip") if "emp" in one.text and one.is_displayed()])
    assert "prune rate 0.8" in told[0]
    assert "accuracy, %: " in told[0]


def test_learning_curves_have_a_band_and_a_line_a_policy(visit):
    view = visit.view("curves")
    kinds = visit.run(
        "return echarts.getInstanceByDom(arguments[0]).getOption().series.map((one) => one.type)",
        view.find_element("css selector", ".chart"),
    )
    assert kinds == ["line", "custom"] * 4


def pixel(visit, chart, place):
    """Where a sample of the map lies in the window."""
    return visit.run(
        """const chart = echarts.getInstanceByDom(arguments[0]), box = arguments[0].getBoundingClientRect();
        for (const one of chart.getOption().series) {
          if (one.type !== "scatter" || one.id === "chosen") continue;
          const at = chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 },
            [...one.data.slice(2 * arguments[1], 2 * arguments[1] + 2)]);
          if (at.every(Number.isFinite)) return [box.x + at[0], box.y + at[1]];
        }""", chart, place,
    )  # fmt: skip


def hover(browser, x, y):
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    actions = ActionBuilder(browser, duration=20)
    actions.pointer_action.move_to_location(int(x) - 30, int(y) - 30)
    actions.pointer_action.move_to_location(round(x), round(y))
    actions.perform()


def first_sample_of_the_map(browser, visit):
    """The view and its card, once that shows the sample that the pointer is on."""
    view = visit.view("map")
    chart, card = (view.find_element("css selector", one) for one in (".chart", ".mapped .card"))
    hover(browser, *pixel(visit, chart, 0))
    visit.until(lambda: "trained" in card.text)
    return view, card


def test_hovering_over_the_map_shows_the_image(browser, visit):
    _, card = first_sample_of_the_map(browser, visit)
    for box in (card, visit.until(lambda: [one for one in visit.all(".tip") if one.is_displayed()])[0]):
        assert "loss" in box.text
        image = box.find_element("css selector", ".pixels")
        assert "blob:" in image.value_of_css_property("background-image")
        assert image.size["width"] > 100


def test_hovering_over_a_map_of_texts_shows_the_text_and_no_markup_of_it(browser, sentences):
    visit = Visit(browser, sentences, views=False)
    _, card = first_sample_of_the_map(browser, visit)
    assert any(text in card.text for text in TEXTS)
    assert not card.find_elements("css selector", "b > *, .text b")


def test_hovering_over_the_map_of_a_users_function_shows_what_he_says(browser, own):
    visit = Visit(browser, own, views=False)
    view, card = first_sample_of_the_map(browser, visit)
    shown = re.match(r"my sample (\d+)\nsample (\d+)\ntrained [0-3] ×\nloss [\d.]+\nmemory term [\d.]+$", card.text)
    assert shown
    assert shown[1] == shown[2] != "0"
    number = view.find_element("css selector", "input[type=number]")
    number.send_keys("0")
    assert card.text == "my sample 0\nsample 0\ntrained 0 ×\nnever seen"
    assert visit.messages() == []


def test_the_map_is_walked_by_keyboard_from_the_most_suspected_label_error(visit, digits):
    from selenium.webdriver.common.keys import Keys

    view = visit.view("map")
    policy = view.find_element("css selector", "select").get_attribute("value")
    run_id = next(
        one.run_id for one in digits[1] if (one.policy, one.prune_rate, one.seed) == (policy, 0.8, 0)
    )  # fmt: skip
    first, second = suspects(load_samples(digits[0].parent.parent / "runs" / run_id).loss, 2)
    visit.focus(view.find_element("css selector", ".chart"))
    card = view.find_element("css selector", ".mapped .card")
    visit.press(Keys.ARROW_RIGHT)
    assert f"sample {first}\n" in card.text
    visit.press(Keys.ARROW_RIGHT)
    assert f"sample {second}\n" in card.text
    number = view.find_element("css selector", "input[type=number]")
    number.send_keys("7")
    assert "sample 7\n" in card.text
    number.send_keys("77777")
    assert "is not on this map" in card.text


def test_the_contact_sheet_shows_suspected_label_errors_and_others(visit, digits):
    view = visit.view("sheet")
    what, which = view.find_elements("css selector", "select")
    visit.choose(which, "emp")
    cards = view.find_elements("css selector", ".card")
    assert len(cards) == 48
    run_id = next(one.run_id for one in digits[1] if (one.policy, one.prune_rate, one.seed) == ("emp", 0.8, 0))
    arrays = load_samples(digits[0].parent.parent / "runs" / run_id)
    chosen = suspects(arrays.loss, 48)
    assert [f"№ {place}\n" in card.text for place, card in zip(chosen, cards, strict=True)] == [True] * 48
    framed = [card for card in cards if "flipped" in card.get_attribute("class")]
    assert len(framed) == arrays.mislabelled[chosen].sum()
    assert all("→" in card.text for card in framed)
    assert f"{len(framed)} of them known to be labelled wrongly" in view.text
    assert len(view.find_elements("css selector", ".pixels")) == 48
    visit.choose(what, "trained most")
    assert f"×{arrays.times_trained.max()}, " in view.find_element("css selector", ".card").text


def test_the_map_holds_what_the_run_found(visit, digits):
    data = data_of(digits[0], f"data-{SECTION}-map")
    run_id = next(one.run_id for one in digits[1] if (one.policy, one.prune_rate, one.seed) == ("emp", 0.8, 0))
    arrays = load_samples(digits[0].parent.parent / "runs" / run_id)
    positions = np.frombuffer(base64.b64decode(data["positions"]["base64"]), "<u2")
    assert sorted(positions) == list(range(1197))
    counts = np.frombuffer(base64.b64decode(data["runs"]["emp"]["count"]["base64"]), "u1")
    np.testing.assert_array_equal(counts, arrays.times_trained[positions])
