"""Losses of other tasks in a Trainer: several labels, and regression, which has no memory term."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset
from trainer_runs import N, Rows, arguments, new_model, new_pruner

from emprune.integrations.transformers import PrunedTrainer
from emprune.scoring import multilabel, regression


class Labelled(Dataset):
    """Rows whose labels are numbers."""

    def __init__(self, labels: torch.Tensor) -> None:
        self.rows, self.labels = Rows(), labels

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self.rows.tokens[row], "labels": self.labels[row]}


def trained(folder: Path, labels: torch.Tensor, score_fn: Any, **changed: Any) -> PrunedTrainer:
    trainer = PrunedTrainer(
        new_model(dropout=0.0, **changed), arguments(folder, learning_rate=0.0), train_dataset=Labelled(labels),
        pruner=new_pruner(policy="emp", prune_rate=0.0), score_fn=score_fn,
    )  # fmt: skip
    trainer.train()
    return trainer


def logits_of(trainer: PrunedTrainer) -> torch.Tensor:
    with torch.no_grad():
        return trainer.model(input_ids=Rows().tokens).logits


def test_several_labels(tmp_path: Path) -> None:
    labels = (torch.rand(N, 3, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    trainer = trained(tmp_path, labels, lambda outputs, labels: multilabel(outputs.logits, labels))
    expected = F.binary_cross_entropy_with_logits(logits_of(trainer), labels, reduction="none").mean(1)
    torch.testing.assert_close(torch.tensor(trainer.pruner.table.loss), expected, rtol=1e-4, atol=1e-4)
    assert trainer.pruner.table.has_memory


def test_regression_goes_without_a_memory_term(tmp_path: Path) -> None:
    labels = torch.linspace(-1, 1, N)

    def score(outputs: Any, labels: torch.Tensor) -> Any:
        return regression(outputs.logits[:, 0], labels)

    with pytest.warns(UserWarning, match="EMP ranks by the loss alone"):
        trainer = trained(tmp_path, labels, score, num_labels=1)
    expected = (logits_of(trainer)[:, 0] - labels).square()
    torch.testing.assert_close(torch.tensor(trainer.pruner.table.loss), expected, rtol=1e-4, atol=1e-4)
    assert trainer.pruner.table.has_memory is False
