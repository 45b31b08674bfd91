"""Four tasks of GLUE (Wang et al. 2018, arXiv:1804.07461), from the tab-separated files that they are published in.

The labels of the published test sets are not public: what is held out as ``test`` here is the development set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from emprune.errors import DataError
from emprune_lab.data.files import find_folder, read_file
from emprune_lab.data.sentences import SentenceData, Sentences


@dataclass(frozen=True)
class Layout:
    """How a task's files are laid out.

    Attributes:
        folder: name of its folder. label, first, second: columns, counted from 0; second None: no pairs.
        labels: as written in the files, in the order of the classes. class_names: what they mean.
        header: names of these columns in the first line; None: there is no such line.
    """

    folder: str
    label: int
    first: int
    second: int | None
    labels: tuple[str, ...]
    class_names: tuple[str, ...]
    header: tuple[str, ...] | None

    @property
    def columns(self) -> tuple[int, ...]:
        """Label and texts."""
        texts = (self.first,) if self.second is None else (self.first, self.second)
        return (self.label, *texts)


LAYOUTS = {
    "cola": Layout("CoLA", 1, 3, None, ("0", "1"), ("unacceptable", "acceptable"), None),
    "mrpc": Layout(
        "MRPC", 0, 3, 4, ("0", "1"), ("different", "paraphrase"), ("Quality", "#1 String", "#2 String")
    ),
    "rte": Layout(
        "RTE", 3, 1, 2, ("entailment", "not_entailment"), ("entailment", "not entailment"),
        ("label", "sentence1", "sentence2"),
    ),
    "sst-2": Layout("SST-2", 1, 0, None, ("0", "1"), ("negative", "positive"), ("label", "sentence")),
}  # fmt: skip
"""Every task by name."""

_WHERE = "Put GLUE's folders, each with train.tsv and dev.tsv, into a folder called glue; name it by --data-dir."


def load_glue(name: str, data_dir: str | Path | None) -> SentenceData:
    """A task's training set, and its development set as the test set.

    Args:
        name: a key of :data:`LAYOUTS`. data_dir: holds glue/CoLA/train.tsv and so on; or the folder glue itself.

    Raises:
        DataError: a file is missing, or a line is not in the published layout; names the line.
    """
    layout = LAYOUTS[name]
    folder = find_folder(data_dir, "glue") / layout.folder
    train, labels = _read(folder / "train.tsv", layout)
    test, test_labels = _read(folder / "dev.tsv", layout)
    return SentenceData(name, train, labels, labels, test, test_labels, layout.class_names)


LOADERS = {name: partial(load_glue, name) for name in LAYOUTS}
"""Every task's loader: data_dir → data."""


def _read(path: Path, layout: Layout) -> tuple[Sentences, torch.Tensor]:
    """A file's sentences and labels, int64."""
    try:
        text = read_file(path, _WHERE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8 ({error}). {_WHERE}") from error
    rows = list(_rows(text, path, layout))
    if not rows:
        raise DataError(f"{path} holds no samples. {_WHERE}")
    labels, *texts = zip(*rows, strict=True)
    return Sentences(*texts), torch.tensor([layout.labels.index(label) for label in labels])


def _rows(text: str, path: Path, layout: Layout) -> Iterator[tuple[str, ...]]:
    """(label, first[, second]) of every line; quotes mean nothing."""
    # Not splitlines, which would also break a sentence at a rare separator of Unicode.
    lines = text.replace("\r\n", "\n").split("\n")
    if layout.header is not None:
        found = _picked(lines[0], layout)
        if found != layout.header:
            raise DataError(f"line 1 of {path} should name the columns {', '.join(layout.header)}. {_WHERE}")
    for number, line in enumerate(lines[layout.header is not None :], 1 + (layout.header is not None)):
        row = _picked(line, layout)
        if line and (row is None or row[0] not in layout.labels):
            raise DataError(
                f"line {number} of {path} should have a label, {' or '.join(layout.labels)}, in column "
                f"{layout.label + 1} and text up to column {max(layout.columns) + 1}, separated by tabs: {line[:60]!r}."
            )
        if line and row is not None:
            yield row


def _picked(line: str, layout: Layout) -> tuple[str, ...] | None:
    """The columns asked for; None where there are too few."""
    cells = line.split("\t")
    return tuple(cells[column] for column in layout.columns) if len(cells) > max(layout.columns) else None
