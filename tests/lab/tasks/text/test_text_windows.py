"""Text: read, split, encoded and cut so that every held-out token is predicted once."""

import hashlib
import itertools
import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emprune.errors import ArgumentError, DataError
from emprune_lab.extras import needed
from emprune_lab.tasks.text import corpus
from emprune_lab.tasks.text.corpus import SplitText, read_text, read_tinyshakespeare, split_text
from emprune_lab.tasks.text.objectives import Windows, bits
from emprune_lab.tasks.text.vocabularies import BytePairs, Characters, vocabulary_of
from emprune_lab.tasks.text.windows import cut, scored_once, text_data

WORDS = "".join(f"{word} and {word}s,\n" for word in ["sea", "señor", "ship", "shore", "[MASK]", "sun 🌞"] * 40)


def test_the_validation_part_is_neither_trained_on_nor_the_test_part():
    text = "".join(chr(100 + at) for at in range(1000))
    test, validation = split_text("t", text, "test"), split_text("t", text, "validation")
    assert (test.train, test.held_out) == (text[:900], text[900:])
    assert (validation.train, validation.held_out) == (text[:810], text[810:900])
    assert test.alphabet == validation.alphabet == text
    with pytest.raises(ArgumentError, match="'dev'"):
        split_text("t", text, "dev")
    with pytest.raises(DataError, match="too short"):
        split_text("t", text[:99], "test")


def test_files_of_a_folder_are_one_text(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"zwei\r\n")
    (tmp_path / "a.txt").write_bytes("eins ü".encode())
    (tmp_path / "c.md").write_text("no")
    assert read_text(tmp_path) == "eins ü\nzwei\r\n"
    assert read_text(tmp_path / "a.txt") == "eins ü"
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"c\.txt is not UTF-8"):
        read_text(tmp_path)
    (tmp_path / "empty").mkdir()
    for wrong, says in [(tmp_path / "empty", "holds no .txt"), (tmp_path / "x", "x is missing"), (None, "--data-dir")]:
        with pytest.raises(DataError, match=says):
            read_text(wrong)


def test_tinyshakespeare_must_be_the_published_file(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"tinyshakespeare\.txt is missing.*char-rnn"):
        read_tinyshakespeare(tmp_path)
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "tinyshakespeare.txt").write_text(WORDS)
    with pytest.raises(DataError, match="md5"):
        read_tinyshakespeare(tmp_path)
    monkeypatch.setattr(corpus, "TINYSHAKESPEARE_MD5", hashlib.md5(WORDS.encode()).hexdigest())
    assert read_tinyshakespeare(tmp_path) == read_tinyshakespeare(tmp_path / "lm") == WORDS


def test_characters_are_numbered_and_given_back():
    characters = Characters("".join(sorted(set(WORDS))))
    numbers = {character: number for number, character in enumerate(sorted(set(WORDS)))}
    assert characters.encode(WORDS).tolist() == [numbers[character] for character in WORDS]
    assert (characters.size, characters.mask) == (len(numbers) + 1, len(numbers))
    for unknown in "\x00é\U0010ffff":
        with pytest.raises(ArgumentError, match="text is"):
            characters.encode("sea" + unknown)


def test_byte_pairs_give_any_text_back_and_never_the_mask():
    pairs = BytePairs(WORDS, 280)
    for text in (WORDS, "[MASK] naïve\r\n\t  ✓ \x00", "日本語"):
        tokens = pairs.encode(text)
        assert pairs.tokenizer.decode(tokens.tolist()) == text
        assert tokens.max() < pairs.mask
    assert pairs.size == pairs.mask + 1 == 280
    assert len(pairs.encode(WORDS)) < len(WORDS) / 2
    assert BytePairs(WORDS, 280).encode(WORDS).tolist() == pairs.encode(WORDS).tolist()


def test_byte_pairs_come_from_the_training_text_alone():
    train, held_out = "aaaa bbbb " * 50, "cdcdcdcd " * 50
    with_it, without = (vocabulary_of(SplitText("t", train, other, ""), "bpe270") for other in (held_out, ""))
    assert with_it.encode(held_out).tolist() == without.encode(held_out).tolist()
    assert len(with_it.encode(held_out)) == len(held_out)


@pytest.mark.parametrize("name", ["words", "bpe", "bpe256", "bpe-3"])
def test_wrong_vocabularies_are_named(name):
    with pytest.raises(ArgumentError, match="vocabulary is"):
        vocabulary_of(SplitText("t", WORDS, WORDS, "a"), name)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"emprune-lab\[language\]"):
        needed("tokenizers", "language")


@given(st.integers(2, 60), st.integers(1, 12))
def test_every_token_but_the_first_is_predicted_by_at_most_one_window(count, length):
    assume(count > length)
    windows = cut(torch.arange(count), length)
    predicted = [int(token) for window in windows for token in window[1:]]
    assert predicted == list(range(1, 1 + len(predicted)))
    assert 0 <= count - 1 - len(predicted) < length
    assert all(np.diff(window).tolist() == [1] * length for window in windows)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 12), st.data())
def test_every_held_out_token_is_scored_once_with_enough_context(count, length, data):
    stride = data.draw(st.integers(1, length))
    inputs, labels = scored_once(torch.arange(count), length, stride)
    seen = []
    for window, expected in zip(inputs.tolist(), labels.tolist(), strict=True):
        for at, label in enumerate(expected):
            if label >= 0:
                assert window[: at + 1] == list(range(label - at - 1, label))
                assert at + 1 >= min(label, length - stride + 1)
                seen.append(label)
    assert seen == list(range(1, count))
    with pytest.raises(ArgumentError, match="stride"):
        scored_once(torch.arange(count), length, length + 1)


@pytest.mark.parametrize("vocabulary", ["characters", "bpe280"])
def test_windows_hold_the_training_text_and_held_out_follows_it(vocabulary):
    text = split_text("words", WORDS, "test")
    data, tokens = text_data(text, vocabulary, 16), vocabulary_of(text, vocabulary)
    train = tokens.encode(text.train).tolist()
    stream = data.windows[0, :1].tolist() + data.windows[:, 1:].flatten().tolist()
    assert stream == train[: len(stream)]
    assert len(train) - len(stream) < 16
    assert data.held_out.tolist() == [train[-1], *tokens.encode(text.held_out).tolist()]
    assert (data.held_out_characters, data.length, len(data)) == (len(text.held_out), 16, len(data.windows))
    assert data.mask == tokens.mask == data.vocabulary_size - 1
    for length in (0, 10**6):
        with pytest.raises(ArgumentError, match="window is"):
            text_data(text, vocabulary, length)


def bigrams(tokens, size):
    """log2 probabilities [size, size] of the next token given the last, add-one smoothed; by a plain loop."""
    counts = np.ones((size, size))
    for last, token in itertools.pairwise(tokens):
        counts[last, token] += 1
    return np.log2(counts / counts.sum(1, keepdims=True))


@pytest.mark.parametrize(("length", "stride"), [(8, 8), (8, 3), (200, 100)])
@pytest.mark.parametrize("vocabulary", ["characters", "bpe280"])
def test_bits_are_the_length_of_the_text_under_the_model(vocabulary, length, stride):
    """A model that looks one token back gives the same bits for any windows: those of the whole text at once."""
    text = split_text("words", WORDS, "test")
    data, tokens = text_data(text, vocabulary, 8), vocabulary_of(text, vocabulary)
    model = bigrams(tokens.encode(text.train), tokens.size)
    whole = data.held_out.tolist()
    expected = -sum(model[last, token] for last, token in itertools.pairwise(whole))
    table = torch.from_numpy(model * math.log(2)).float()
    found, count = bits(lambda t: table[t], Windows(*scored_once(data.held_out, length, stride)))
    assert (found, count) == (pytest.approx(expected), len(whole) - 1)
