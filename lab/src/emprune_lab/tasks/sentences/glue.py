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
from emprune_lab.data import LabelledData
from emprune_lab.data.files import find_folder, read_file
from emprune_lab.data.sets import DataSets


@dataclass(frozen=True)
class Sentences:
    """N sentences, or N pairs.

    Attributes:
        first: N texts.
        second: as many, or None where a sample is one sentence.
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, which: torch.Tensor | slice) -> Sentences:
        places = range(len(self))[which] if isinstance(which, slice) else which.tolist()
        second = None if self.second is None else tuple(self.second[place] for place in places)
        return Sentences(tuple(self.first[place] for place in places), second)


@dataclass(frozen=True)
class SentenceData(LabelledData):
    """Labelled sentences or pairs."""

    inputs: Sentences
    test_inputs: Sentences


@dataclass(frozen=True)
class Layout:
    """How a task's files are laid out.

    Attributes:
        folder: name of its folder.
        columns: of the label and of one or two texts, counted from 0.
        labels: as written in the files, in the order of the classes.
        class_names: what they mean.
        header: names of these columns in the first line; None: there is no such line.
    """

    folder: str
    columns: tuple[int, ...]
    labels: tuple[str, ...]
    class_names: tuple[str, ...]
    header: tuple[str, ...] | None

    def picked(self, line: str) -> tuple[str, ...]:
        """Label and texts of a line; empty where it has too few columns. Quotes mean nothing."""
        cells = line.split("\t")
        return tuple(cells[column] for column in self.columns) if len(cells) > max(self.columns) else ()


LAYOUTS = {
    "cola": Layout("CoLA", (1, 3), ("0", "1"), ("unacceptable", "acceptable"), None),
    "mrpc": Layout("MRPC", (0, 3, 4), ("0", "1"), ("different", "paraphrase"), ("Quality", "#1 String", "#2 String")),
    "rte": Layout(
        "RTE", (3, 1, 2), ("entailment", "not_entailment"), ("entailment", "not entailment"),
        ("label", "sentence1", "sentence2"),
    ),
    "sst-2": Layout("SST-2", (1, 0), ("0", "1"), ("negative", "positive"), ("label", "sentence")),
}  # fmt: skip
"""Every task by name."""
GLUE: DataSets[SentenceData] = DataSets()
"""Every task as a data set."""

_WHERE = "Put GLUE's folders, each with train.tsv and dev.tsv, into a folder called glue; name it by --data-dir."


def load_glue(data_dir: str | Path | None, name: str) -> SentenceData:
    """A task's training set, and its development set as the test set.

    Args:
        data_dir: holds glue/CoLA/train.tsv and so on; or the folder glue itself.
        name: a key of :data:`LAYOUTS`.

    Raises:
        DataError: a file is missing, or a line is not in the published layout; names the line.
    """
    layout = LAYOUTS[name]
    folder = find_folder(data_dir, "glue") / layout.folder
    train, labels = _read(folder / "train.tsv", layout)
    test, test_labels = _read(folder / "dev.tsv", layout)
    return SentenceData(name, train, labels, labels, test, test_labels, layout.class_names)


for _name in LAYOUTS:
    GLUE.add(_name, preset=_name)(partial(load_glue, name=_name))


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
    """(label, first[, second]) of every line."""
    # Neither csv nor splitlines, which would also break a sentence at a lone return or a rare separator of Unicode.
    lines = list(enumerate(text.replace("\r\n", "\n").split("\n"), 1))
    if layout.header is not None and layout.picked(lines.pop(0)[1]) != layout.header:
        raise DataError(f"line 1 of {path} should name the columns {', '.join(layout.header)}. {_WHERE}")
    for number, line in lines:
        row = layout.picked(line)
        if line and (not row or row[0] not in layout.labels):
            raise DataError(
                f"line {number} of {path} should have a label, {' or '.join(layout.labels)}, in column "
                f"{layout.columns[0] + 1} and text up to column {max(layout.columns) + 1}, separated by tabs: "
                f"{line[:60]!r}."
            )
        if line:
            yield row
