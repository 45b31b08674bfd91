"""Does pruning help a transformers Trainer here? Every policy on the sentences and the small BERT of trainer_text.py.

    python examples/compare_text.py [--jobs 2] [--seeds 3] [--epochs 4] [--out runs/compare-text]

The Trainer saves its checkpoints in the folder that each run has: one that is killed goes on from the last of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from trainer_text import accuracy, sentences, small_bert
from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

import emprune_lab
from emprune import Pruner
from emprune.integrations.transformers import PrunedTrainer

SAMPLES = 800


def train(pruner: Pruner, seed: int, folder: Path) -> dict[str, float]:
    torch.manual_seed(seed)
    train_set, test_set = sentences(SAMPLES, seed=0), sentences(200, seed=1)
    tokenizer, model = small_bert(train_set["text"])
    train_set, test_set = (rows.map(lambda row: tokenizer(row["text"])) for rows in (train_set, test_set))
    args = TrainingArguments(
        str(folder), num_train_epochs=pruner.num_epochs, per_device_train_batch_size=16, learning_rate=2e-3,
        warmup_steps=0.1, seed=seed, save_strategy="steps", save_steps=50, save_total_limit=1, report_to="none",
        disable_tqdm=True, use_cpu=not torch.cuda.is_available(), dataloader_pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
    trainer = PrunedTrainer(
        model,
        args,
        pruner=pruner,
        train_dataset=train_set,
        eval_dataset=test_set,
        processing_class=tokenizer,
        compute_metrics=accuracy,
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(folder))
    measured = trainer.evaluate()
    return {"accuracy": measured["eval_accuracy"], "loss": measured["eval_loss"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", default="runs/compare-text")
    options = parser.parse_args()
    emprune_lab.compare(
        train, num_samples=SAMPLES, num_epochs=options.epochs, seeds=options.seeds, jobs=options.jobs, out=options.out
    )


if __name__ == "__main__":
    main()
