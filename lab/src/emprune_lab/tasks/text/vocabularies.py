"""From characters to tokens: one token a character, or byte pairs trained on the training text.

Of both, tokens are integers in [0, size), and ``mask`` is one that no text contains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emprune.errors import ArgumentError
from emprune_lab.extras import needed
from emprune_lab.tasks.text.corpus import SplitText

CHARACTERS = "characters"
_BYTES = 256


class Characters:
    """One token a character, in the order of the alphabet; the mask comes last.

    The alphabet is that of the whole text, the held-out part included, so that every held-out character has a
    probability; nothing but which characters there are is taken from there.

    >>> Characters("abc").encode("cab").tolist()
    [2, 0, 1]
    """

    def __init__(self, alphabet: str) -> None:
        self._alphabet = alphabet
        self._numbers = {character: number for number, character in enumerate(alphabet)}
        self.size, self.mask = len(alphabet) + 1, len(alphabet)

    def encode(self, text: str) -> NDArray[np.int64]:
        """Raises ArgumentError where a character is not in the alphabet."""
        try:
            return np.array([self._numbers[character] for character in text], dtype=np.int64)
        except KeyError as unknown:
            allowed = f"the {self.mask} characters of the alphabet"
            raise ArgumentError("text", unknown.args[0], allowed) from None

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, none of them the mask."""
        return "".join(self._alphabet[token] for token in tokens)


class BytePairs:
    """Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909; on bytes as in GPT-2).

    Every text has an encoding, and decoding gives the text back to the byte.

    Args:
        text: trained on.
        size: tokens, 256 bytes and the mask included; a short text may have fewer.

    Raises:
        ArgumentError: size below 257. DataError: the package tokenizers is missing.
    """

    def __init__(self, text: str, size: int) -> None:
        if size <= _BYTES:
            raise ArgumentError("vocabulary", size, f"at least {_BYTES + 1}: every byte is a token, and so is the mask")
        tokenizers = needed("tokenizers", "language")
        level = tokenizers.pre_tokenizers.ByteLevel
        self.tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        self.tokenizer.pre_tokenizer = level(add_prefix_space=False)
        self.tokenizer.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size - 1, initial_alphabet=level.alphabet(), show_progress=False
        )
        self.tokenizer.train_from_iterator([text], trainer)
        # None of the tokenizer's own, so that no text, whatever it holds, is read as the mask.
        self.mask = int(self.tokenizer.get_vocab_size())
        self.size = self.mask + 1

    def encode(self, text: str) -> NDArray[np.int64]:
        return np.array(self.tokenizer.encode(text).ids, dtype=np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, none of them the mask; bytes that are no character of UTF-8 become U+FFFD."""
        return str(self.tokenizer.decode(list(tokens)))


def vocabulary_of(text: SplitText, name: str) -> Characters | BytePairs:
    """The vocabulary that a recipe names: "characters", or "bpe" and the number of tokens, "bpe2048".

    Raises:
        ArgumentError: neither.
    """
    if name == CHARACTERS:
        return Characters(text.alphabet)
    if not (name.startswith("bpe") and name[3:].isdecimal()):
        raise ArgumentError("vocabulary", name, "'characters', or 'bpe' and a number of tokens, 'bpe2048'")
    return BytePairs(text.train, int(name[3:]))
