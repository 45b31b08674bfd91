"""Bad input of the token functions: the argument is named, and what to change."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from emprune import ArgumentError
from emprune.scoring import (
    check_labels,
    tokens,
)

VOCABULARY = 7


LOGITS, LABELS = torch.zeros(2, 3, VOCABULARY), torch.zeros(2, 3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": LOGITS.long()}, "logits is 'torch.int64 of shape"),
        ({"logits": torch.zeros(2, 3, 4, 5)}, "logits is .*emprune.scoring.dense"),
        ({"logits": torch.zeros(2, 3, 0)}, "logits is"),
        ({"labels": LABELS.int()}, "labels is 'torch.int32.*int64 of shape"),
        ({"labels": LABELS.float()}, "labels is 'torch.float32.*emprune.scoring.regression"),
        ({"labels": [[0, 0, 0]] * 2}, "labels is 'list'"),
        ({"labels": LABELS.bool()}, r"labels is 'torch.bool.*labels.long\(\)"),
        ({"labels": torch.tensor([[0, -100, 0], [0, 8, 9]])}, "labels is '9 in row 1'"),
        ({"logits": [[0.0]]}, "logits is 'list'"),
        ({"logits": SimpleNamespace(logits=LOGITS)}, "logits is 'SimpleNamespace'; .*pass its logits"),
        ({"weight": torch.ones(6)}, r"weight is 'torch.float32 of shape \(6,\)'; allowed: one weight a class"),
        ({"weight": torch.full((7,), torch.nan)}, "weight is 'nan of class 0'; allowed: finite"),
        ({"labels": LABELS[:, :2]}, r"labels is 'torch.int64 of shape \(2, 2\)'.*\(2, 3\)"),
        (
            {"labels": LABELS + VOCABULARY},
            "labels is '7 in row 0'; allowed: 0 to 6.*Vocabulary mismatch: a token is 7 .* for 7",
        ),
        ({"labels": LABELS - 1}, "labels is '-1 in row 0'; allowed: 0 to 6, or ignore_index, -100"),
        ({"labels": LABELS - 100}, "labels is 'without a token to predict among 6'.*require_labels=False"),
        ({"labels": torch.tensor([[1, -100, -100]] * 2), "shift": True}, "without a token to predict"),
        ({"label_smoothing": 1.5}, "label_smoothing is 1.5"),
        ({"num_sequences": 3}, "num_sequences is 3.*batch size, 2.*sequence_ids"),
        ({"sequence_ids": LABELS.float()}, "sequence_ids is 'torch.float32"),
        ({"sequence_ids": LABELS[0]}, r"sequence_ids is 'torch.int64 of shape \(3,\)"),
        ({"sequence_ids": LABELS + 2, "num_sequences": 2}, "sequence_ids is 2; allowed: 0 to 1"),
        ({"sequence_ids": LABELS - 1}, "without a token to predict"),
        ({"sequence_ids": LABELS, "num_sequences": -1}, "num_sequences is -1"),
        ({"sequence_ids": LABELS, "num_sequences": True + 0.5}, "num_sequences is 1.5"),
        ({"logits": LOGITS[0], "labels": LABELS[0]}, "sequence_ids.*classification"),
        ({"kernel": "triton", "logits": LOGITS.double()}, "kernel is 'triton for torch.float64"),
        ({"kernel": "cuda"}, "kernel is 'cuda'"),
    ],
)
def test_bad_input_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"(?s){message}"):
        tokens(**({"logits": LOGITS, "labels": LABELS} | change))


def test_all_ignored_passes_where_allowed() -> None:
    logits = torch.randn(2, 3, VOCABULARY, requires_grad=True)
    loss, memory = tokens(logits, LABELS - 100, require_labels=False)
    assert loss.tolist() == memory.tolist() == [0, 0]
    loss.sum().backward()
    assert (logits.grad == 0).all()


def test_check_labels_before_training() -> None:
    check_labels(torch.tensor([[3, -100]]), 4)
    with pytest.raises(ArgumentError, match="a token is 4 and the model has logits for 4"):
        check_labels(torch.tensor([[4, -100]]), 4)
    with pytest.raises(ArgumentError, match="without a token to predict"):
        check_labels(torch.tensor([[3, -100]]), 4, shift=True)
    with pytest.raises(ArgumentError, match="without a token to predict"):
        check_labels(torch.tensor([[3, 2]]), 4, shift=True, sequence_ids=torch.tensor([[0, 1]]))
