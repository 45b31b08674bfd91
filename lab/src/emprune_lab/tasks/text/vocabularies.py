"""From characters to tokens: one token a character, or byte pairs trained on the training text.

Of both, tokens are integers in [0, size), and ``mask`` is one that no text contains.
"""

from __future__ import annotations

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
        self._points = np.array([ord(character) for character in alphabet], dtype=np.uint32)

    @property
    def size(self) -> int:
        return len(self._points) + 1

    @property
    def mask(self) -> int:
        return len(self._points)

    def encode(self, text: str) -> NDArray[np.int64]:
        """Raises ArgumentError where a character is not in the alphabet."""
        points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        tokens = np.searchsorted(self._points, points).astype(np.int64)
        known = self._points[np.minimum(tokens, len(self._points) - 1)] == points
        if not known.all():
            unknown = chr(points[np.argmin(known)])
            raise ArgumentError("text", unknown, f"the {len(self._points)} characters of the alphabet")
        return tokens

    def decode(self, tokens: NDArray[np.int64]) -> str:
        return self._points[tokens].tobytes().decode("utf-32-le")


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
        self._tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        self._tokenizer.pre_tokenizer = level(add_prefix_space=False)
        self._tokenizer.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size - 1, initial_alphabet=level.alphabet(), show_progress=False
        )
        self._tokenizer.train_from_iterator([text], trainer)

    @property
    def size(self) -> int:
        return self.mask + 1

    @property
    def mask(self) -> int:
        # None of the tokenizer's own, so that no text, whatever it holds, is read as the mask.
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> NDArray[np.int64]:
        return np.array(self._tokenizer.encode(text).ids, dtype=np.int64)

    def decode(self, tokens: NDArray[np.int64]) -> str:
        return str(self._tokenizer.decode(tokens.tolist()))


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
