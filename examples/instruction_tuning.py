"""Instruction tuning with pruning: chat rows, prompts masked, loss on the answers alone; runs offline.

    python examples/instruction_tuning.py [--epochs 12] [--prune-rate 0.5] [--out runs/instructions]

A small GPT-2 from scratch and a byte-pair tokenizer learn from rows made here: easy questions and some harder ones.
"""

from __future__ import annotations

import argparse
import random
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    TrainingArguments,
)

from emprune import Pruner
from emprune.integrations.transformers import PrunedTrainer

COLOURS = {"snow": "white", "coal": "black", "grass": "green", "blood": "red", "the sky": "blue", "a lemon": "yellow"}
ASKING = ["What colour is {}?", "Which colour has {}?", "Name the colour of {}."]
TEMPLATE = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"


def chats(number: int, seed: int) -> Dataset:
    """Rows in the chat format: one question about a colour in two, else the sum of two digits."""
    draw, rows = random.Random(seed), []
    for _ in range(number):
        if draw.random() < 0.5:
            thing, answer = draw.choice(list(COLOURS.items()))
            question = draw.choice(ASKING).format(thing)
        else:
            first, second = draw.randint(0, 9), draw.randint(0, 9)
            question, answer = f"How much is {first} plus {second}?", str(first + second)
        rows.append({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]})
    return Dataset.from_list(rows)


def train_tokenizer(rows: Dataset) -> PreTrainedTokenizerFast:
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"]
    texts = (message["content"] for row in rows for message in row["messages"])
    pairs.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pairs, pad_token="<|pad|>", eos_token="<|end|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def encode(row: dict[str, Any], tokenizer: PreTrainedTokenizerFast) -> dict[str, list[int]]:
    """Tokens of the chat, and labels: -100, which no loss is computed for, on all but the answer and its end."""
    prompt = tokenizer.apply_chat_template(row["messages"][:-1], tokenize=False) + "<|assistant|>"
    prompt_ids = tokenizer(prompt)["input_ids"]
    answer_ids = [*tokenizer(row["messages"][-1]["content"])["input_ids"], tokenizer.eos_token_id]
    return {"input_ids": prompt_ids + answer_ids, "labels": [-100] * len(prompt_ids) + answer_ids}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--prune-rate", type=float, default=0.5)
    parser.add_argument("--out", default="runs/instructions")
    options = parser.parse_args()

    torch.manual_seed(0)
    rows, held_out = chats(600, seed=0), chats(150, seed=1)
    tokenizer = train_tokenizer(rows)
    train_set, test_set = (
        made.map(encode, fn_kwargs={"tokenizer": tokenizer}, remove_columns="messages") for made in (rows, held_out)
    )
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=48, n_layer=2, n_head=4,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    args = TrainingArguments(
        options.out, num_train_epochs=options.epochs, per_device_train_batch_size=16, learning_rate=5e-3,
        lr_scheduler_type="cosine", warmup_steps=0.1, eval_strategy="epoch", logging_strategy="epoch",
        save_strategy="no", report_to="none", disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(), dataloader_pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
    trainer = PrunedTrainer(
        GPT2LMHeadModel(config),
        args,
        train_dataset=train_set,
        eval_dataset=test_set,
        data_collator=DataCollatorForSeq2Seq(tokenizer),
        pruner=Pruner(len(train_set), prune_rate=options.prune_rate, num_epochs=options.epochs, anneal=0.125),
    )
    metrics = trainer.train().metrics
    loss = trainer.evaluate()["eval_loss"]
    table = trainer.pruner.table
    for row in table.rank(table.loss, unseen="mean").argsort()[::-1][:3].tolist():
        print(f"hard: {rows[row]['messages'][0]['content']} Trained {table.times_trained[row]} times.")
    print(f"loss of held-out answers {loss:.3f}, realised rate {metrics['realised_rate']:.3f}")


if __name__ == "__main__":
    main()
