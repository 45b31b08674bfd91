"""Vocabularies: any text comes back, and they know the training text alone."""

import pytest

from emprune.errors import ArgumentError
from emprune_lab.tasks.text.corpus import SplitText
from emprune_lab.tasks.text.vocabularies import BytePairs, Characters, vocabulary_of

WORDS = "".join(f"{word} and {word}s,\n" for word in ["sea", "señor", "ship", "shore", "[MASK]", "sun 🌞"] * 40)


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
