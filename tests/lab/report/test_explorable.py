"""What travels inside the page: arrays, JSON that ends no script, pictures and texts within their room."""

import base64
import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from made_results import compared, made
from made_samples import samples
from PIL import Image

from emprune.errors import DataError
from emprune_lab.data import ImageData
from emprune_lab.records.results import Counts, Scored, load_counts, load_samples, save_run
from emprune_lab.records.turns import Turns
from emprune_lab.report import explore
from emprune_lab.report.explorable import as_json, packed, quantised
from emprune_lab.report.explore.curves import VIEW as CURVES
from emprune_lab.report.explore.turns import histograms_of
from emprune_lab.report.palette import DARK, NAMED, luminance, on_dark
from emprune_lab.report.pictures import show_of, shown_of_samples
from emprune_lab.report.samples import data as map_data
from emprune_lab.tasks import recipe_for

TYPES = {"u8": "u1", "u16": "<u2", "u32": "<u4", "f32": "<f4"}


def unpacked(one):
    return np.frombuffer(base64.b64decode(one["base64"]), TYPES[one["type"]])


@pytest.mark.parametrize(("most", "kind"), [(255, "u8"), (256, "u16"), (65535, "u16"), (65536, "u32")])
def test_whole_numbers_take_the_least_room(most, kind):
    values = np.array([0, 1, most])
    assert packed(values)["type"] == kind
    np.testing.assert_array_equal(unpacked(packed(values)), values)
    assert packed(values.astype(np.float32))["type"] == "f32"


@pytest.mark.parametrize("log", [False, True])
def test_quantised_values_come_back_within_half_a_step(log):
    values = np.exp(np.random.default_rng(0).normal(0, 3, 1000)).astype(np.float32)
    one = quantised(values, log=log)
    back = one["low"] + unpacked(one) / 65535 * (one["high"] - one["low"])
    expected = np.log(values.astype(float)) if log else values
    assert np.abs(back - expected).max() <= 0.51 / 65535 * (one["high"] - one["low"])
    same = quantised(np.full(3, 2.0, np.float32), log=log)
    assert list(unpacked(same)) == [0, 0, 0]
    assert same["low"] == same["high"] == pytest.approx(np.log(2) if log else 2)


def test_json_cannot_end_its_script_and_holds_no_nan():
    text = as_json({"a": "</script><!--\u2028"})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"a": "</script><!--\u2028"}
    with pytest.raises(ValueError, match="JSON compliant"):
        as_json(float("nan"))


def images(count, side, channels=3):
    pixels = torch.zeros(count, channels, side, side, dtype=torch.uint8)
    pixels[:, 0] = (torch.arange(count, dtype=torch.uint8) * 20)[:, None, None]
    pixels[-1, 0] = 255
    labels = torch.zeros(count, dtype=torch.long)
    return ImageData("made", pixels, labels, labels, pixels, labels, ("one",))


def test_the_sprite_holds_each_sample_where_the_page_looks_for_it():
    order = np.array([5, 0, 9, 3])
    found = shown_of_samples(show_of(images(10, 16)), order, 1.0)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["sprite"]))))
    assert found["positions"] == order.tolist()
    for tile, position in enumerate(order):
        line, column = divmod(tile, found["columns"])
        red = sheet[line * 16 + 8, column * 16 + 8, 0]
        assert abs(int(red) - (255 if position == 9 else 20 * position)) < 12


def test_pictures_keep_within_their_room_and_large_ones_are_made_smaller():
    data = dataclasses.replace(images(400, 64), inputs=torch.randint(0, 256, (400, 3, 64, 64), dtype=torch.uint8))
    found = shown_of_samples(show_of(data), np.arange(400), 0.05)
    assert found["side"] == 48
    assert 0 < len(found["positions"]) < 400
    assert len(base64.b64decode(found["sprite"])) <= 0.05 * 1_500_000
    assert found["positions"] == list(range(len(found["positions"])))


def test_an_oblong_image_keeps_its_shape_on_a_white_square():
    found = shown_of_samples(lambda position: np.zeros((20, 40, 3), np.uint8), np.array([0]), 1.0)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["sprite"]))))
    assert sheet[20, 2].max() < 30
    assert sheet[[4, 36], 20].min() > 225


def test_long_lines_of_texts_are_cut_and_no_more_than_fit_are_taken():
    found = shown_of_samples(lambda position: f"{position}\n" + "x" * 500, np.arange(9000), 0.01)
    assert 15 < len(found["texts"]) < 30
    assert found["texts"][1] == "1\n" + "x" * 239 + "…"


@pytest.mark.parametrize(
    ("show", "said"),
    [
        (lambda position: "text" if position else np.zeros((4, 4)), "image of some samples and text of others"),
        (lambda position: 1 / 0, r"show\(0\) raised ZeroDivisionError"),
        (lambda position: {}, "a dict cannot be shown"),
    ],
)
def test_a_function_that_shows_nothing_is_named(show, said):
    with pytest.raises(DataError, match=said):
        shown_of_samples(show, np.arange(3), 1.0)


OWN = {"epochs": 3, "own": {"num_samples": 4}}


def of_own(loss, memory, shown=None):
    run = made("random", 0.5, 0, data="mine:train", model="", split="", recipe=OWN, num_samples=4)
    arrays = Scored(np.array([0, 1, 2, 1], np.int32), np.float32(loss), np.float32(memory))
    return dataclasses.replace(compared([run]), own={run.run_id: arrays}, shown=shown)


def test_the_map_of_a_users_function_leaves_out_what_was_never_seen_and_shows_what_the_user_says():
    data = map_data(of_own([np.inf, 0.5, 2, np.nan], [0, 1, np.nan, 0], "sample {}".format), 1.0)
    place = unpacked(data["positions"]).tolist().index
    loss, memory = (unpacked(data["runs"]["random"][name]) for name in ("loss", "memory"))
    assert [loss[place(position)] for position in (1, 2)] == [0.5, 2]
    assert np.isnan([loss[place(position)] for position in (0, 3)]).all()
    assert [memory[place(position)] / 65535 for position in (1, 2)] == [1, 0]
    assert data["sheets"]["random"]["highest loss"] == [2, 1]
    assert "right" not in data["runs"]["random"]
    assert data["shows"]["texts"] == [f"sample {position}" for position in data["shows"]["positions"]]
    json.loads(as_json(data))
    assert map_data(of_own([1, 2, 3, 4], [0, 0, 0, 0]), 1.0)["shows"] == {"positions": []}


def test_the_map_of_a_text_shows_the_words_of_each_window(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"{number:04d}" for number in range(200)))
    recipe = {**recipe_for("text").as_dict(), "vocabulary": "characters", "window": 10, "text": ""}
    run = made("random", 0.5, 0, data="text", model="gpt-4x128", recipe=recipe, num_samples=71)
    found = dataclasses.replace(compared([run]), samples={run.run_id: samples(71)}, data_dir=tmp_path)
    shows = map_data(found, 1.0)["shows"]
    text = "".join(f"{number:04d}" for number in range(180))
    assert sorted(shows["positions"]) == list(range(71))
    for position, shown in zip(shows["positions"], shows["texts"], strict=True):
        assert shown == text[10 * position : 10 * position + 11]
    (tmp_path / "a.txt").write_text("another text. " * 20)
    again = dataclasses.replace(found)
    assert map_data(again, 1.0)["shows"] == {"positions": []}


def test_histograms_are_of_all_seeds_after_each_epoch_and_of_the_end_alone_where_one_kept_no_more():
    turns = [np.array([[3, 1, 0], [1, 2, 1]]), np.array([[2, 2, 0], [0, 3, 1]])]
    seeds = [Counts(np.array([0, 1, 1, 2]), turns=turns[0]), Counts(np.array([1, 1, 1, 2]), turns=turns[1])]
    pooled, epochs = histograms_of(seeds, 3)
    assert epochs == [1, 2]
    np.testing.assert_array_equal(pooled, [[5, 3, 0, 0], [1, 5, 2, 0]])
    pooled, epochs = histograms_of([seeds[0], Counts(seeds[1].times_trained)], 2)
    assert epochs == [0]
    np.testing.assert_array_equal(pooled, [[1, 5, 2]])


def test_turns_are_stored_and_may_be_missing(tmp_path):
    counts = np.array([0, 2], np.int32)
    save_run(tmp_path / "a", made(), Counts(counts, turns=np.array([[1, 1, 0], [1, 0, 1]], np.int32)))
    assert load_counts(tmp_path / "a").turns.tolist() == [[1, 1, 0], [1, 0, 1]]
    save_run(tmp_path / "b", made(), samples(5))
    assert load_samples(tmp_path / "b").turns is None


def test_turns_of_a_run_that_began_without_them_are_none():
    turns = Turns()
    turns.after_epoch(2, [1, 1])
    assert turns.array(2) is None
    again = Turns([[0, 2]])
    again.after_epoch(1, [1, 1])  # a restart counts the epoch before a second time
    again.after_epoch(2, [1, 2])
    assert again.array(2).tolist() == [[0, 2, 0], [0, 1, 1]]


def test_curves_leave_out_runs_that_lack_a_quantity():
    history = [{"kept": 10, "seconds": 1.0, "loss": 2.0}, {"kept": 10, "seconds": 1.0, "loss": 1.0}]
    runs = [
        made("full", 0.0, 0, history=history),
        made("emp", 0.7, 0, history=[]),
        made("emp", 0.7, 1, history=history),
    ]
    data = CURVES.data(compared(runs), 1.0)
    assert list(data["curves"]) == ["loss"]
    assert data["curves"]["loss"]["0.7"]["emp"]["mean"] == [2.0, 1.0]
    assert data["curves"]["loss"]["0.7"]["emp"]["kept"] == [10.0, 20.0]
    assert not CURVES.applies(compared([made("emp", 0.7, 0)]))


def test_every_view_has_its_script_and_a_name_of_its_own():
    names = [view.name for view in explore.discover()]
    assert len(set(names)) == len(names) >= 5


def test_every_colour_can_be_seen_in_the_dark():
    for look in NAMED.values():
        assert (luminance(on_dark(look.colour)) + 0.05) / (luminance(DARK) + 0.05) >= 4
