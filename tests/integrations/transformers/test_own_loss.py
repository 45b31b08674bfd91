"""A Trainer's subclass with a compute_loss of its own: right where its losses reach the pruner, refused where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from trainer_runs import new_pruner, new_trainer, weights_of

from emprune import ArgumentError, EmpruneError
from emprune.integrations.transformers import PrunedTrainer
from emprune.scoring import classification

PLAIN = {"model": {"dropout": 0.0}, "optim": "sgd", "max_grad_norm": 0.0, "learning_rate": 0.05}
CLASS_WEIGHTS = torch.tensor([1.0, 2.0, 3.0])


def weighted_loss(self: Any, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
    """As in many a tutorial: the loss of a batch by weights of the classes."""
    labels = inputs.pop("labels")
    inputs.pop("emprune_ids", None)
    outputs = model(**inputs)
    loss = F.cross_entropy(outputs.logits, labels, weight=CLASS_WEIGHTS)
    return (loss, outputs) if return_outputs else loss


class Silent(PrunedTrainer):
    compute_loss = weighted_loss


class SilentNowAndThen(PrunedTrainer):
    """Reports each batch but the third."""

    batches = 0

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.batches += 1
        own = weighted_loss if self.batches == 3 else PrunedTrainer.compute_loss
        return own(self, model, inputs, *args, **kwargs)


class Reporting(PrunedTrainer):
    """Reports losses of its own."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        ids, labels = inputs.pop("emprune_ids"), inputs.pop("labels")
        outputs = model(**inputs)
        loss = self.pruner.loss(ids, *classification(outputs.logits, labels))
        return (loss, outputs) if return_outputs else loss


class Replacing(PrunedTrainer):
    """Takes its parent's outputs, and trains on a loss of its own."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        labels = inputs["labels"]
        _, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        loss = F.cross_entropy(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss


class Adding(PrunedTrainer):
    """Adds a term to its parent's loss, of a second forward pass."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        again = super().compute_loss(model, dict(inputs), **kwargs)
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        loss = (loss + again) / 2 + 0.1 * outputs.logits.square().mean()
        return (loss, outputs) if return_outputs else loss


class Twice(PrunedTrainer):
    """Changes the loss of its parent."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return 2 * super().compute_loss(*args, **kwargs)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_losses_that_never_reach_the_pruner_are_refused_before_the_first_update(
    accumulation: int, tmp_path: Path
) -> None:
    trainer = new_trainer(tmp_path, cls=Silent, gradient_accumulation_steps=accumulation)
    before = weights_of(trainer.model)
    with pytest.raises(EmpruneError) as caught:
        trainer.train()
    for part in ("weighted_loss makes a loss of its own", "super().compute_loss", "inputs.pop('emprune_ids')",
                 "self.pruner.loss(ids, losses)", "score_fn="):  # fmt: skip
        assert part in str(caught.value)
    assert torch.equal(weights_of(trainer.model), before)


def test_what_the_pruner_reads_is_named_in_the_advice(tmp_path: Path) -> None:
    with pytest.raises(EmpruneError, match=r"self.pruner.loss\(ids, losses, memory\)"):
        new_trainer(tmp_path, cls=Silent, pruner=new_pruner(policy="emp")).train()


def test_a_method_that_is_replaced_is_found_too(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.compute_loss = weighted_loss.__get__(trainer)
    with pytest.raises(EmpruneError, match="without its losses reaching the pruner"):
        trainer.train()


def test_a_loss_function_that_is_set_later_is_refused(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.compute_loss_func = print
    with pytest.raises(ArgumentError, match=r"compute_loss_func is .* one loss of a batch. Give score_fn="):
        trainer.train()


@pytest.mark.parametrize(("accumulation", "updates"), [(1, 2), (2, 1)])
def test_a_step_that_does_not_reach_the_pruner_is_refused(accumulation: int, updates: int, tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, cls=SilentNowAndThen, gradient_accumulation_steps=accumulation)
    with pytest.raises(EmpruneError, match="without its losses reaching the pruner"):
        trainer.train()
    assert (trainer.batches, trainer.state.global_step) == (3, updates)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_losses_reported_by_a_subclass_train_as_the_trainers_own(accumulation: int, tmp_path: Path) -> None:
    """With batches of one size the mean over batches is that over samples."""
    settings = {"gradient_accumulation_steps": accumulation, "size": 32, "eval_strategy": "no", **PLAIN}
    own, plain = (
        new_trainer(tmp_path, cls=cls, pruner=new_pruner(32, "emp"), **settings) for cls in (Reporting, PrunedTrainer)
    )
    for trainer in (own, plain):
        trainer.train()
        assert trainer.pruner.epoch == 4
        assert trainer.state.global_step == trainer.state.max_steps == (3 * 4 + 8) // accumulation
    assert own.pruner.report().samples_backward == plain.pruner.report().samples_backward == 3 * 16 + 32
    torch.testing.assert_close(weights_of(own.model), weights_of(plain.model))
    assert own.pruner.table.loss.tolist() == pytest.approx(plain.pruner.table.loss.tolist(), rel=1e-4)


def test_a_subclass_that_changes_its_parents_loss(tmp_path: Path) -> None:
    twice = new_trainer(tmp_path, cls=Twice, gradient_accumulation_steps=3, **PLAIN)
    faster = new_trainer(tmp_path, gradient_accumulation_steps=3, **{**PLAIN, "learning_rate": 0.1})
    for trainer in (twice, faster):
        trainer.train()
    torch.testing.assert_close(weights_of(twice.model), weights_of(faster.model))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_in_place_of_the_parents_is_refused_before_the_first_update(accumulation: int, tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, cls=Replacing, gradient_accumulation_steps=accumulation)
    before = weights_of(trainer.model)
    with pytest.raises(
        EmpruneError, match=r"Replacing.compute_loss calls super\(\).compute_loss and returns a loss witho"
    ):
        trainer.train()
    assert torch.equal(weights_of(trainer.model), before)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_terms_beside_the_parents_loss(accumulation: int, tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, cls=Adding, gradient_accumulation_steps=accumulation)
    trainer.train()
    assert trainer.pruner.epoch == 4
