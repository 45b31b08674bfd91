"""Fine-tuning a text classifier with transformers' Trainer, as it is without pruning; runs offline.

    python examples/trainer_text.py [--model FOLDER] [--epochs 4] [--out runs/text] [--resume]

Without a model's folder a small BERT from scratch learns from sentences made here: whether a guest was content.
"""

from __future__ import annotations

import argparse
import random

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    EvalPrediction,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

THINGS = ["room", "breakfast", "pool", "view", "lobby", "garden", "staff", "bed"]
GOOD = ["lovely", "spotless", "quiet", "friendly", "excellent", "warm"]
BAD = ["dirty", "noisy", "rude", "cold", "broken", "awful"]


def sentences(number: int, seed: int) -> Dataset:
    """Rows of text and label; "not" turns a word's meaning, so that counting words is not enough."""
    draw, rows = random.Random(seed), []
    for _ in range(number):
        content, negated = draw.random() < 0.5, draw.random() < 0.3
        word = draw.choice(GOOD if content != negated else BAD)
        text = (
            f"the {draw.choice(THINGS)} was {'not ' if negated else ''}{word} and we stayed {draw.randint(1, 9)} nights"
        )
        rows.append({"text": text, "label": int(content)})
    return Dataset.from_list(rows)


def small_bert(texts: list[str]) -> tuple[PreTrainedTokenizerFast, BertForSequenceClassification]:
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"]))
    config = BertConfig(
        vocab_size=words.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=32,
    )  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    return tokenizer, BertForSequenceClassification(config)


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder of a pretrained encoder and its tokenizer")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", default="runs/text")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    options = parser.parse_args()

    torch.manual_seed(0)
    train_set, test_set = sentences(800, seed=0), sentences(200, seed=1)
    if options.model:
        tokenizer = AutoTokenizer.from_pretrained(options.model)
        model = AutoModelForSequenceClassification.from_pretrained(options.model)
    else:
        tokenizer, model = small_bert(train_set["text"])
    train_set, test_set = (rows.map(lambda row: tokenizer(row["text"])) for rows in (train_set, test_set))

    args = TrainingArguments(
        options.out, num_train_epochs=options.epochs, per_device_train_batch_size=16,
        learning_rate=5e-5 if options.model else 2e-3, warmup_steps=0.1, eval_strategy="epoch",
        logging_strategy="epoch", save_strategy="steps", save_steps=20, save_total_limit=1, report_to="none",
        disable_tqdm=True, use_cpu=not torch.cuda.is_available(), dataloader_pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
    trainer = Trainer(
        model,
        args,
        train_dataset=train_set,
        eval_dataset=test_set,
        processing_class=tokenizer,
        compute_metrics=accuracy,
    )
    trainer.train(resume_from_checkpoint=options.resume)
    print(f"test accuracy {trainer.evaluate()['eval_accuracy']:.1%}, {trainer.state.global_step} updates")


if __name__ == "__main__":
    main()
