"""TRL's SFTTrainer with pruning put before it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from trainer_runs import naive_scores
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

from emprune import ArgumentError, Pruner
from emprune.integrations.transformers import PruningMixin

N = 20
WORDS = ["<pad>", "<eos>", "user", "assistant", "what", "is", "it", *(f"w{number}" for number in range(N))]
TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"


class PrunedSFT(PruningMixin, SFTTrainer):
    pass


@pytest.fixture(autouse=True)
def no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")
    made.chat_template = TEMPLATE
    return made


def chats() -> Dataset:
    """Row i asks w_i; answers differ in length."""
    return Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": f"what is w{row}"}],
                "completion": [{"role": "assistant", "content": " ".join(["it is", *[f"w{row * 3 % N}"] * (row % 4)])}],
            }
            for row in range(N)
        ]
    )


def new_trainer(folder: Path, pruner: Any = None, model: Any = None, **changed: Any) -> PrunedSFT:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=16, max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    settings = {
        "num_train_epochs": 3, "per_device_train_batch_size": 4, "learning_rate": 0.0, "max_length": 32,
        "report_to": "none", "disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False,
        "save_strategy": "no", "logging_strategy": "epoch", "bf16": False, "activation_checkpointing": False,
    }  # fmt: skip
    return PrunedSFT(
        model=model or LlamaForCausalLM(config), args=SFTConfig(str(folder), **{**settings, **changed}),
        train_dataset=chats(), processing_class=tokenizer(),
        pruner=pruner or (lambda size: Pruner(size, "emp", prune_rate=0.5, num_epochs=3, anneal=0.34)),
    )  # fmt: skip


def expected(trainer: PrunedSFT) -> tuple[list[float], list[float]]:
    """Loss and entropy of each prepared row, by itself, by the model's plain forward; weights have not moved."""
    trainer.model.eval()
    found = []
    for row in trainer.train_dataset:
        lengths = row.get("seq_lengths") or [len(row["input_ids"])]
        positions = torch.cat([torch.arange(length) for length in lengths])[None]
        logits = trainer.model(input_ids=torch.tensor([row["input_ids"]]), position_ids=positions).logits[0]
        labels = [-100 if position == 0 else label for position, label in zip(positions[0], row["labels"], strict=True)]
        found.append(naive_scores("causal", logits.tolist(), labels))
    return [loss for loss, _ in found], [entropy for _, entropy in found]


@pytest.mark.parametrize(
    "settings",
    [
        {"gradient_accumulation_steps": 2},
        {"packing": True, "packing_strategy": "wrapped", "per_device_train_batch_size": 2},
        {"packing": True, "packing_strategy": "bfd", "per_device_train_batch_size": 3},
    ],
    ids=["rows", "wrapped", "padding-free"],
)
def test_every_score_lands_on_its_row(settings: dict[str, Any], tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, **settings)
    size = len(trainer.train_dataset)
    assert (size == N) == ("packing" not in settings)
    trainer.train()
    loss, memory = expected(trainer)
    table = trainer.pruner.table
    np.testing.assert_allclose(table.loss, loss, rtol=1e-4)
    np.testing.assert_allclose(table.memory, memory, rtol=1e-4)
    assert len(set(np.round(table.loss, 5).tolist())) > size // 2
    assert trainer.state.global_step == trainer.state.max_steps
    assert table.times_trained.sum() == size + 2 * (size // 2)


def test_its_own_metrics_are_logged_beside_ours(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, learning_rate=0.01)
    trainer.train()
    logs = [log for log in trainer.state.log_history if "loss" in log]
    assert [log["samples_kept"] for log in logs] == [10, 10, 20]
    assert all({"entropy", "mean_token_accuracy", "num_tokens", "realised_rate"} <= set(log) for log in logs)


def test_resumed_in_mid_epoch(tmp_path: Path) -> None:
    settings = {"save_strategy": "steps", "save_steps": 4, "learning_rate": 0.01}
    first, second = new_trainer(tmp_path, **settings), new_trainer(tmp_path, **settings)
    first.train()
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert second.pruner.table.loss.tolist() == first.pruner.table.loss.tolist()
    assert second.pruner.table.last_seen.tolist() == first.pruner.table.last_seen.tolist()


@pytest.mark.filterwarnings("ignore:`label_smoothing_factor` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("settings", "message"),
    [({"loss_type": "dft"}, "loss_type is 'dft'; allowed: 'nll'"), ({"label_smoothing_factor": 0.1}, "allowed: 0")],
)
def test_losses_that_are_not_the_samples(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        new_trainer(tmp_path, **settings)


def test_packed_rows_are_not_those_that_were_given(tmp_path: Path) -> None:
    pruner = Pruner(N, "random", prune_rate=0.5, num_epochs=3)
    with pytest.raises(ArgumentError, match=r"built for 20 samples'; allowed: one for the \d+ rows of trainer"):
        new_trainer(tmp_path, pruner, packing=True)
