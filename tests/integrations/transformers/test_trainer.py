"""A Trainer that prunes, in one process: where scores land, how long it trains, and on which gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainer_runs import N, Rows, arguments, naive_scores, new_model, new_pruner, new_trainer, weights_of
from transformers import Trainer

from emprune import Pruner
from emprune.integrations.transformers import PrunedTrainer

PLAIN = {"model": {"dropout": 0.0}, "optim": "sgd", "max_grad_norm": 0.0, "learning_rate": 0.05}


def watch_forwards(trainer: PrunedTrainer) -> list[tuple[int, dict[str, Any], torch.Tensor]]:
    """Collects (epoch, inputs, logits) of what the model is trained on, from outside the trainer."""
    seen: list[tuple[int, dict[str, Any], torch.Tensor]] = []

    def keep(model: Any, args: Any, inputs: dict[str, Any], outputs: Any) -> None:
        if model.training:
            seen.append((trainer.pruner.epoch, inputs, outputs["logits"].detach().clone()))

    trainer.model.register_forward_hook(keep, with_kwargs=True)
    return seen


@pytest.mark.parametrize(
    ("kind", "accumulation", "workers"),
    [
        ("classification", 1, 0),
        ("classification", 3, 0),
        ("token classification", 1, 0),
        ("masked", 1, 0),
        ("causal", 2, 0),
        ("causal", 2, 2),
        ("encoder-decoder", 1, 0),
        ("llama", 1, 0),
    ],
)
def test_every_score_lands_on_its_row(kind: str, accumulation: int, workers: int, tmp_path: Path) -> None:
    trainer = new_trainer(
        tmp_path, kind, new_pruner(policy="emp"), gradient_accumulation_steps=accumulation,
        dataloader_num_workers=workers,
    )  # fmt: skip
    rows, seen = Rows(kind), watch_forwards(trainer)
    trainer.train()
    loss, memory, count, last = np.full(N, np.inf), np.zeros(N), np.zeros(N), np.full(N, -1)
    for epoch, inputs, logits in seen:
        for tokens, row_logits in zip(inputs["input_ids"].tolist(), logits.tolist(), strict=True):
            row = tokens[0]
            loss[row], memory[row] = naive_scores(kind, row_logits, rows.labels[row].tolist())
            count[row] += 1
            last[row] = epoch
    table = trainer.pruner.table
    np.testing.assert_allclose(table.loss, loss, rtol=2e-5)
    np.testing.assert_allclose(table.memory, memory, rtol=2e-5)
    assert table.times_trained.tolist() == count.tolist()
    assert table.last_seen.tolist() == last.tolist()
    assert len(set(table.loss.tolist())) == N


def test_accumulated_batches_train_as_one_of_their_size(tmp_path: Path) -> None:
    """Samples are weighted, and each epoch's last update is of batches of unlike sizes."""
    found = []
    for size, accumulation in ((8, 1), (4, 2), (2, 4)):
        trainer = new_trainer(
            tmp_path, per_device_train_batch_size=size, gradient_accumulation_steps=accumulation, **PLAIN
        )  # fmt: skip
        trainer.train()
        assert trainer.state.global_step == 3 * 2 + 4
        found.append(weights_of(trainer.model))
    moved = (found[0] - weights_of(new_model(dropout=0))).abs().max()
    for other in found[1:]:
        assert (other - found[0]).abs().max() < 1e-5 * moved


class Ordered(Trainer):
    """The Trainer without pruning, on the order of a pruner's first epoch."""

    order: list[int] = []

    def _get_train_sampler(self, train_dataset: Any = None) -> list[int]:
        return self.order


@pytest.mark.parametrize(
    ("kind", "smoothing", "accumulation"),
    [
        ("classification", 0.0, 1),
        ("classification", 0.1, 2),
        ("llama", 0.0, 2),
        ("llama", 0.1, 2),
        ("mixture of experts", 0.0, 1),
    ],
)
def test_keeping_all_data_is_the_trainer_without_pruning(
    kind: str, smoothing: float, accumulation: int, tmp_path: Path
) -> None:
    rows, pruner = Rows(kind), new_pruner(policy="full", num_epochs=1, anneal=0.0)
    if kind != "classification":
        rows.labels = rows.tokens  # as many tokens in each row: then means over rows and over tokens are the same
    args = arguments(
        tmp_path, num_train_epochs=1, gradient_accumulation_steps=accumulation, label_smoothing_factor=smoothing,
        optim="sgd", learning_rate=0.02,
    )  # fmt: skip
    plain = Ordered(new_model(kind, dropout=0), args, train_dataset=rows)
    plain.order = pruner.plan.ids.tolist()
    pruned = PrunedTrainer(new_model(kind, dropout=0), args, train_dataset=rows, pruner=pruner)
    losses = [trainer.train().training_loss for trainer in (plain, pruned)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    torch.testing.assert_close(weights_of(pruned.model), weights_of(plain.model), rtol=1e-4, atol=1e-6)


def test_evaluation_is_untouched(tmp_path: Path) -> None:
    held_out, args = Rows(size=9), arguments(tmp_path, eval_strategy="epoch", per_device_eval_batch_size=4)
    trainer = PrunedTrainer(new_model(), args, train_dataset=Rows(), eval_dataset=held_out, pruner=new_pruner())
    collate = trainer.data_collator
    trainer.train()
    evaluated = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert len(evaluated) == 4
    plain = Trainer(trainer.model, arguments(tmp_path, per_device_eval_batch_size=4), eval_dataset=held_out)
    assert plain.evaluate()["eval_loss"] == pytest.approx(evaluated[-1])
    assert trainer.data_collator is collate
    report = trainer.pruner.report()
    assert report.samples_forward == report.samples_backward == 65
    assert trainer.predict(held_out).predictions.shape == (9, 3)


def test_a_batch_policy_trains_its_share(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, pruner=new_pruner(policy="selective-backprop"), gradient_accumulation_steps=2)
    trainer.train()
    report = trainer.pruner.report()
    assert (report.samples_forward, report.samples_backward) == (4 * N, 65)
    assert trainer.state.global_step == trainer.state.max_steps == 4 * 4


def test_a_function_makes_the_pruner_of_the_rows_there_are(tmp_path: Path) -> None:
    trainer = PrunedTrainer(
        new_model(), arguments(tmp_path), train_dataset=Rows(),
        pruner=lambda size: Pruner(size, "random", prune_rate=0.5, num_epochs=4),
    )  # fmt: skip
    assert trainer.pruner.num_samples == N


def test_scores_of_the_users_own(tmp_path: Path) -> None:
    """A regression: the model's own loss is none that could be read from its outputs without being told."""

    def squared(outputs: Any, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        error = (outputs.logits[:, 0] - labels.float()).square()
        return error, error.detach() / 2

    trainer = PrunedTrainer(
        new_model(num_labels=1), arguments(tmp_path), train_dataset=Rows(), pruner=new_pruner(policy="emp"),
        score_fn=squared,
    )  # fmt: skip
    rows, seen = Rows(), watch_forwards(trainer)
    trainer.train()
    last = {
        row[0]: (logit[0] - rows.labels[row[0]].item()) ** 2
        for _, inputs, logits in seen
        for row, logit in zip(inputs["input_ids"].tolist(), logits.tolist(), strict=True)
    }
    assert trainer.pruner.table.loss.tolist() == pytest.approx([last[row] for row in range(N)], rel=1e-4)
    assert trainer.pruner.table.memory.tolist() == pytest.approx([last[row] / 2 for row in range(N)], rel=1e-4)
    assert all("labels" not in inputs for _, inputs, _ in seen)
