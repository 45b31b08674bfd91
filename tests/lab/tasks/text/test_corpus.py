"""Text: read from files, and split."""

import hashlib

import pytest

from emprune.errors import ArgumentError, DataError
from emprune_lab.tasks.text import corpus
from emprune_lab.tasks.text.corpus import read_text, read_tinyshakespeare, split_text

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
