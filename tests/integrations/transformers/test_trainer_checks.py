"""What a Trainer with a pruner is not to be given: an error before anything is trained, which says what to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset
from trainer_runs import N, Rows, arguments, naive_scores, new_model, new_pruner, weights_of
from transformers import Trainer, default_data_collator

from emprune import ArgumentError, EmpruneError
from emprune.distributed import World
from emprune.integrations.transformers import PrunedTrainer, PruningMixin
from emprune.integrations.transformers.batches import IDS


def build(folder: Path, kind: str = "classification", cls: type = PrunedTrainer, **changed: Any) -> Any:
    """A trainer with anything changed: of its arguments, of TrainingArguments (``args``), of the model (``config``)."""
    model = changed.pop("model", None) or new_model(kind, **changed.pop("config", {}))
    args = arguments(folder, **changed.pop("args", {}))
    return cls(model, args, **{"train_dataset": Rows(kind), "pruner": new_pruner(), **changed})


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(Rows())


class TwoRanks(World):
    size = 2

    def gather(self, column: Any) -> list[Any]:
        return [column] * 2


class OwnLoss(Trainer):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_loss(*args, **kwargs) * 2


class OwnSampler(Trainer):
    def _get_train_sampler(self, *args: Any) -> Any:
        return super()._get_train_sampler(*args)


class PrunedOwnSampler(PruningMixin, OwnSampler):
    pass


class PrunedOwnLoss(PruningMixin, OwnLoss):
    pass


class Tokenizer:
    def __len__(self) -> int:
        return 41

    def get_vocab(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_dataset": Stream()}, "train_dataset is 'Stream'; allowed: a map-style dataset"),
        (
            {"train_dataset": datasets.IterableDataset.from_generator(lambda: iter([]))},
            "train_dataset is 'IterableDataset'.*streaming=False",
        ),
        ({"train_dataset": None}, "train_dataset is 'NoneType'"),
        ({"train_dataset": Rows(size=25)}, "built for 26 samples'; allowed: one for the 25 rows"),
        ({"args": {"num_train_epochs": 3}}, "num_train_epochs is 3; allowed: 4, the pruner's"),
        ({"args": {"max_steps": 7}}, "max_steps is 7; allowed: -1, or the 19 updates"),
        ({"args": {"train_sampling_strategy": "group_by_length"}}, "'group_by_length'; allowed: 'random'"),
        ({"args": {"auto_find_batch_size": True}}, "auto_find_batch_size is True; allowed: False"),
        ({"args": {"accelerator_config": {"split_batches": True}}}, "split_batches is True; allowed: False"),
        ({"args": {"accelerator_config": {"dispatch_batches": True}}}, "dispatch_batches is True; allowed: False"),
        (
            {"args": {"dataloader_drop_last": True, "per_device_train_batch_size": 14}},
            "drop_last is True; allowed: a global batch of at most 13, the samples of epoch 0",
        ),
        ({"pruner": new_pruner(world=TwoRanks())}, "built for 2 rank.*allowed: one for the 1 rank.*Build it after"),
        ({"pruner": "emp"}, "pruner is 'str'; allowed: an emprune.Pruner"),
        ({"pruner": lambda size: size}, "pruner is 'int'; allowed: an emprune.Pruner"),
        ({"pruner": new_pruner(policy="infobatch-published")}, "allowed: a policy with an exact rate"),
        (
            {"pruner": new_pruner(policy="emp", prune_rate="auto")},
            r"prune_rate is AutoRate\(.*\); allowed: a number, or one for each epoch, to know the steps .*a Trainer",
        ),
        ({"pruner": new_pruner(policy="divbs")}, "policy 'divbs', which reads gradient_products"),
        ({"compute_loss_func": print}, "compute_loss_func is .* one loss of a batch. Give score_fn="),
        ({"cls": PrunedOwnSampler}, "_get_train_sampler is \".*OwnSampler's own\"; allowed: Trainer's: the pruner's"),
        ({"cls": PrunedOwnLoss}, "compute_loss is \".*OwnLoss's own\"; allowed: Trainer's"),
        ({"processing_class": Tokenizer()}, "a tokenizer of 41 tokens'; allowed: at most the 40 .*resize_token_emb"),
    ],
)
def test_known_when_the_trainer_is_made(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        build(tmp_path, **changed)


def test_as_many_steps_as_the_pruner_makes_may_be_given(tmp_path: Path) -> None:
    trainer = build(tmp_path, args={"max_steps": 19})
    trainer.train()
    assert trainer.state.global_step == 19


def dropping(samples: list[dict[str, Any]]) -> dict[str, Any]:
    return default_data_collator(samples[:-1])


def reversing(samples: list[dict[str, Any]]) -> dict[str, Any]:
    return default_data_collator(samples[::-1])


def sorting(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """The longest first, as packing for a recurrent network wants it, with tokens masked at random."""
    longest = sorted(samples, key=lambda sample: len(sample["input_ids"]), reverse=True)
    lengths = torch.tensor([len(sample["input_ids"]) for sample in longest])
    mask = (torch.arange(7) < lengths[:, None]).long()
    labels = torch.stack([sample["labels"] for sample in longest])
    return {"input_ids": torch.zeros_like(mask), "attention_mask": mask, "labels": labels}


class Lengths(Rows):
    """Rows of other lengths each."""

    def __getitem__(self, row: int) -> dict[str, Any]:
        sample = super().__getitem__(row)
        return {**sample, "input_ids": sample["input_ids"][: 1 + row % 7]}


def shifting(samples: list[dict[str, Any]]) -> dict[str, Any]:
    batch = default_data_collator(samples)
    return {**batch, "input_ids": batch["input_ids"] + 14}


def masking(samples: list[dict[str, Any]]) -> dict[str, Any]:
    batch = default_data_collator(samples)
    return {**batch, "labels": torch.full_like(batch["input_ids"], -100)}


def unlabelled(samples: list[dict[str, Any]]) -> dict[str, Any]:
    return {"input_ids": default_data_collator(samples)["input_ids"]}


def fractions(samples: list[dict[str, Any]]) -> dict[str, Any]:
    batch = default_data_collator(samples)
    return {**batch, "labels": batch["labels"].float()}


class LossAlone(torch.nn.Module):
    """A model with a fused loss, which leaves logits out."""

    def __init__(self) -> None:
        super().__init__()
        # Not from the global generator: now and then its weights would make both losses the same.
        drawn = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
        self.head = torch.nn.Embedding.from_pretrained(drawn, freeze=False)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.head(input_ids).mean(dim=1)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels)}


class Weighted(LossAlone):
    """A model whose loss weights the classes."""

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.head(input_ids).mean(dim=1)
        if labels is None:
            return {"logits": logits}
        weight = torch.tensor([1.0, 5.0, 0.1])
        return {"loss": torch.nn.functional.cross_entropy(logits, labels, weight), "logits": logits}


class TokensOfItsOwn(LossAlone):
    """A language model that transformers does not know: whether it shifts its labels is not known."""

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        return (self.head(input_ids),)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data_collator": dropping}, r"one that makes 25 row\(s\) of 26 samples'; allowed: one row for each"),
        ({"data_collator": reversing}, "puts samples into another order'; allowed: one that keeps the order"),
        ({"data_collator": sorting, "train_dataset": Lengths()}, "puts samples into another order'; allowed: one that"),
        ({"data_collator": lambda samples: samples}, "one that returns list'; allowed: one that returns a dict"),
        ({"data_collator": shifting}, "input_ids is [45].; allowed: 0 to 39, .* model embeds.*tokenizer"),
        ({"data_collator": unlabelled}, "batches of input_ids, .*'; allowed: one whose batches have 'labels'"),
        ({"data_collator": fractions}, "labels is 'torch.float32 for Bert.*Give score_fn="),
        ({"config": {"num_labels": 1}}, "labels is 'torch.int64 for BertForSequenceClassification.*Give score_fn="),
        ({"config": {"num_labels": 2}}, "labels is 2; allowed: 0 to 1, .*num_labels"),
        ({"kind": "causal", "data_collator": masking}, "labels is 'without a token to predict"),
        ({"kind": "masked", "data_collator": masking}, "labels is 'without a token to predict"),
        (
            {"kind": "token classification", "config": {"num_labels": 2}},
            "labels is '2 in row 2'; allowed: 0 to 1",
        ),
        ({"model": LossAlone()}, "the model returns no logits, only loss; .*Give score_fn="),
        ({"model": Weighted()}, "own loss of the first batch is .*, but the cross-entropy of its logits is"),
        ({"model": TokensOfItsOwn(), "kind": "causal"}, "model is .one with logits of shape .*Give score_fn="),
    ],
)
def test_known_before_the_first_step(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    trainer = build(tmp_path, **changed)
    before = weights_of(trainer.model)
    with pytest.raises(EmpruneError, match=message):
        trainer.train()
    assert torch.equal(weights_of(trainer.model), before)
    assert trainer.pruner.report().steps == trainer.state.global_step == 0


class LosesIds(PrunedTrainer):
    def _prepare_inputs(self, inputs: dict[str, Any]) -> Any:
        return super()._prepare_inputs({name: column for name, column in inputs.items() if name != IDS})


def test_batches_that_lost_their_ids(tmp_path: Path) -> None:
    with pytest.raises(EmpruneError, match="a training batch came without its ids, the column 'emprune_ids'"):
        build(tmp_path, cls=LosesIds).train()


def test_columns_that_the_model_does_not_take_are_removed_and_ids_stay(tmp_path: Path) -> None:
    rows = Rows()
    columns = {"text": [f"row {row}" for row in range(N)], "input_ids": rows.tokens.tolist()}
    table = datasets.Dataset.from_dict({**columns, "label": rows.labels.tolist()})
    trainer = build(tmp_path, train_dataset=table, args={"learning_rate": 0.0}, config={"dropout": 0.0})
    trainer.train()
    logits = trainer.model(input_ids=rows.tokens).logits.tolist()
    losses = [naive_scores("classification", row, label)[0] for row, label in zip(logits, rows.labels, strict=True)]
    np.testing.assert_allclose(trainer.pruner.table.loss, losses, rtol=1e-5)


def test_a_release_whose_trainer_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Trainer, "loss_is_scaled_for_ga")
    with pytest.raises(EmpruneError, match=r"transformers [\d.]+ has no Trainer.loss_is_scaled_for_ga"):
        build(tmp_path)


def test_a_run_begins_once(tmp_path: Path) -> None:
    trainer = build(tmp_path)
    trainer.train()
    with pytest.raises(ArgumentError, match=r"has begun a run .epoch 4.*a new one, or a checkpoint"):
        trainer.train()


def test_score_fn_takes_the_place_of_what_is_refused(tmp_path: Path) -> None:
    def score(outputs: Any, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss = torch.nn.functional.cross_entropy(outputs["logits"], labels, reduction="none")
        return loss, loss.detach()

    for changed in ({"model": Weighted()}, {"cls": PrunedOwnLoss}, {"compute_loss_func": print}):
        trainer = build(tmp_path, score_fn=score, **changed)  # type: ignore[arg-type]
        trainer.train()
        assert trainer.pruner.report().samples_backward == 65
