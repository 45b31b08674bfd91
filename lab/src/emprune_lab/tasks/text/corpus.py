"""Plain text for language models: read from its files, cut into what is trained and what is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from emprune.errors import ArgumentError, DataError
from emprune_lab.data import Split
from emprune_lab.data.files import check_md5, find_folder, read_file
from emprune_lab.data.sets import DataSets

TEXTS: DataSets[str] = DataSets()
"""Every text by name."""
TINYSHAKESPEARE_MD5 = "6fb458f1232090904fb40fe944165e91"
_HELD_OUT = 10  # a tenth
_WHERE_TINYSHAKESPEARE = (
    "It is input.txt of karpathy/char-rnn's data/tinyshakespeare. Put it there under this name, and name the folder "
    "with --data-dir or EMPRUNE_DATA."
)
_WHERE_TEXT = "Name a .txt file in UTF-8, or a folder of such files, with --data-dir."


@dataclass(frozen=True)
class SplitText:
    """A text cut in two.

    Attributes:
        train: what is trained on, the beginning of the text.
        held_out: what follows it, never trained on.
        alphabet: the characters of the whole text, each once, in the order of their code points.
    """

    name: str
    train: str
    held_out: str
    alphabet: str


@TEXTS.add("tinyshakespeare", preset="bpe-gpt")
def read_tinyshakespeare(data_dir: str | Path | None) -> str:
    """TinyShakespeare (Karpathy 2015): 1,115,394 characters of the plays, 65 of them different.

    Args:
        data_dir: the folder with tinyshakespeare.txt, or its parent where the folder is called lm; None: the
            environment's EMPRUNE_DATA.

    Raises:
        DataError: the file is missing or is not the published one.
    """
    path = find_folder(data_dir, "lm") / "tinyshakespeare.txt"
    content = read_file(path, _WHERE_TINYSHAKESPEARE)
    check_md5(content, TINYSHAKESPEARE_MD5, path)
    return content.decode()


@TEXTS.add("text", preset="bpe-gpt")
def read_text(data_dir: str | Path | None) -> str:
    """One text of one file, or of all .txt files of a folder in the order of their names, a line break between two.

    Raises:
        DataError: nothing is there, or it is not UTF-8.
    """
    if not data_dir:
        raise DataError(f"No text was named. {_WHERE_TEXT}")
    path = Path(data_dir).expanduser()
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} holds no .txt file. {_WHERE_TEXT}")
    return "\n".join(_decoded(file) for file in files)


def digest_of(text: str) -> str:
    """What identifies a text: the first ten digits of its BLAKE2b hash.

    >>> digest_of("")
    '7d64c5272e'
    """
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


def read_split(name: str, data_dir: str | Path | None, digest: str, split: Split) -> SplitText:
    """A text by name, cut in two.

    Args:
        digest: of a text that has no published name; "": it has one.

    Raises:
        DataError: the text is missing, too short, or another one.
    """
    text = TEXTS.read(name, data_dir)
    if digest not in ("", digest_of(text)):
        raise DataError(f"The text in {data_dir} has the digest {digest_of(text)}, not {digest}; it changed.")
    return split_text(name, text, split)


def split_text(name: str, text: str, split: Split) -> SplitText:
    """Hold out the last tenth of the characters ("test"), or the last tenth of the rest ("validation").

    For TinyShakespeare the test part is that of nanoGPT. On the validation split the test part is left out
    altogether.

    Raises:
        ArgumentError: unknown split. DataError: the text has fewer than 100 characters.
    """
    if split not in ("test", "validation"):
        raise ArgumentError("split", split, "'test' or 'validation'")
    if len(text) < _HELD_OUT**2:
        raise DataError(f"The text {name} has {len(text)} characters; that is too short to train on. {_WHERE_TEXT}")
    alphabet = "".join(sorted(set(text)))
    if split == "validation":
        text = text[: _first_part(text)]
    cut = _first_part(text)
    return SplitText(name, text[:cut], text[cut:], alphabet)


def _first_part(text: str) -> int:
    return len(text) * (_HELD_OUT - 1) // _HELD_OUT


def _decoded(path: Path) -> str:
    try:
        return read_file(path, _WHERE_TEXT).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}). {_WHERE_TEXT}") from error
