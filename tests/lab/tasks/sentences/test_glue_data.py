"""GLUE's files: the published layouts, or an error that names the file and the line."""

import pytest
import torch
from made_glue import samples, write_cola, write_mrpc

from emprune.errors import ArgumentError, DataError
from emprune_lab.data import as_trained, load_from
from emprune_lab.tasks.sentences.glue import GLUE


def test_cola_has_no_header_and_dev_is_the_test_set(tmp_path):
    data = load_from(GLUE, "cola", write_cola(tmp_path))
    expected, held_out = samples(120, 1), samples(40, 2)
    assert data.inputs.first == tuple(text for _, text in expected)
    assert data.inputs.second is None
    assert data.labels.tolist() == [label for label, _ in expected]
    assert data.test_inputs.first == tuple(text for _, text in held_out)
    assert data.test_labels.tolist() == [label for label, _ in held_out]
    assert data.class_names == ("unacceptable", "acceptable")


def test_mrpc_has_a_header_behind_a_byte_order_mark_and_pairs(tmp_path):
    data = load_from(GLUE, "mrpc", write_mrpc(tmp_path) / "glue")  # the folder glue itself may be named too
    assert (len(data), len(data.test_labels)) == (24, 12)
    assert set(data.inputs.first) == {"the first"}
    assert data.inputs.second == tuple(text for _, text in samples(24, 3))


@pytest.mark.parametrize(
    ("name", "folder", "content", "first", "second", "labels"),
    [
        (
            "rte", "RTE", "index\tsentence1\tsentence2\tlabel\n0\ta b\tc\tnot_entailment\n1\td\te\tentailment\n",
            ("a b", "d"), ("c", "e"), [1, 0],
        ),
        ("sst-2", "SST-2", "sentence\tlabel\nso good \t1\nbad\t0\n", ("so good ", "bad"), None, [1, 0]),
    ],
)  # fmt: skip
def test_columns_of_rte_and_sst2(name, folder, content, first, second, labels, tmp_path):
    (tmp_path / "glue" / folder).mkdir(parents=True)
    for part in ("train", "dev"):
        (tmp_path / "glue" / folder / f"{part}.tsv").write_text(content)
    data = load_from(GLUE, name, tmp_path)
    assert (data.inputs.first, data.inputs.second, data.labels.tolist()) == (first, second, labels)


def test_quotes_and_separators_of_unicode_are_text(tmp_path):
    folder = write_cola(tmp_path) / "glue" / "CoLA"
    odd = 'She said "no\x85and\u2028left'
    (folder / "train.tsv").write_text(f'bc01\t1\t\t{odd}\nbc01\t0\t*\t"Two\n', encoding="utf-8")
    assert load_from(GLUE, "cola", tmp_path).inputs.first == (odd, '"Two')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "gj04\t1\t\tfine\ngj04\t2\t\tno such label\n",
            r"line 2 of .*train\.tsv should have a label, 0 or 1, in column",
        ),
        ("gj04\t1\ttoo few\n", r"line 1 of .*text up to column 4"),
        ("", "holds no samples"),
        (b"gj04\t1\t\t\xff\n", "not in UTF-8"),
    ],
)
def test_what_is_not_in_the_layout_is_named(content, message, tmp_path):
    path = write_cola(tmp_path) / "glue" / "CoLA" / "train.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        load_from(GLUE, "cola", tmp_path)


def test_other_headers_and_missing_files_are_named(tmp_path):
    path = write_mrpc(tmp_path) / "glue" / "MRPC" / "dev.tsv"
    path.write_text("label\tsentence\n1\tx\n")
    with pytest.raises(DataError, match=r"line 1 of .*dev\.tsv should name the columns Quality, #1 String, #2 String"):
        load_from(GLUE, "mrpc", tmp_path)
    with pytest.raises(DataError, match=r"CoLA.train\.tsv is missing\. Put GLUE's folders"):
        load_from(GLUE, "cola", tmp_path)


def test_the_validation_split_is_held_out_of_training(tmp_path):
    whole, parted = (load_from(GLUE, "cola", write_cola(tmp_path / name), split=split) for name, split in
                     (("a", "test"), ("b", "validation")))  # fmt: skip
    trained, held = list(parted.inputs.first), list(parted.test_inputs.first)
    assert (len(trained), len(held)) == (100, 20)
    assert sorted(trained + held) == sorted(whole.inputs.first)
    assert trained == [text for text in whole.inputs.first if text in set(trained)]
    labels = dict(zip(whole.inputs.first, whole.labels.tolist(), strict=True))
    assert parted.labels.tolist() == [labels[text] for text in trained]
    assert parted.test_labels.tolist() == [labels[text] for text in held]


def test_noise_imbalance_and_size_keep_texts_with_their_labels(tmp_path):
    whole = load_from(GLUE, "mrpc", write_mrpc(tmp_path))
    true = dict(zip(whole.inputs.second, whole.labels.tolist(), strict=True))
    few = load_from(GLUE, "mrpc", tmp_path, train_size=10)
    assert few.inputs.second == whole.inputs.second[:10]
    data = as_trained(whole, imbalance=3, label_noise=0.25, seed=0)
    assert torch.bincount(data.true_labels).tolist() == [12, 4]
    assert data.true_labels.tolist() == [true[text] for text in data.inputs.second]
    assert int((data.labels != data.true_labels).sum()) == 4
    assert data.inputs.first == ("the first",) * 16
    with pytest.raises(ArgumentError, match="train_size"):
        load_from(GLUE, "mrpc", tmp_path, train_size=25)
