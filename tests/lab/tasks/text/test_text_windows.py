"""Text cut into windows so that every held-out token is predicted once."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emprune.errors import ArgumentError
from emprune_lab.tasks.text.corpus import split_text
from emprune_lab.tasks.text.objectives import Windows, bits
from emprune_lab.tasks.text.vocabularies import vocabulary_of
from emprune_lab.tasks.text.windows import cut, scored_once, text_data

WORDS = "".join(f"{word} and {word}s,\n" for word in ["sea", "señor", "ship", "shore", "[MASK]", "sun 🌞"] * 40)


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
