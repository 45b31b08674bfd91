"""Tiny GLUE files in the published layout, and a tiny encoder to fine-tune on them."""

from __future__ import annotations

import numpy as np
import torch

WORDS = [f"w{number}" for number in range(30)]
SENTENCES = 120


def sentence(rng):
    """A few words; what decides the label is whether w0 is among them."""
    return [WORDS[at] for at in rng.integers(1, 30, rng.integers(2, 12))]


def samples(count, seed):
    """(label, words) of each sample, about half of each class."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        words = sentence(rng)
        if number % 2:
            words.insert(int(rng.integers(0, len(words) + 1)), WORDS[0])
        rows.append((number % 2, " ".join(words)))
    return rows


def write_cola(folder, train=SENTENCES, dev=40):
    """CoLA: source, label, author's mark, sentence, and no header. Returns folder, to be named by --data-dir."""
    place = folder / "glue" / "CoLA"
    place.mkdir(parents=True)
    for name, count, seed in (("train", train, 1), ("dev", dev, 2)):
        lines = [f"gj04\t{label}\t{'' if label else '*'}\t{text}\n" for label, text in samples(count, seed)]
        (place / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def write_mrpc(folder, train=24, dev=12):
    """MRPC: a header after a byte order mark, label, two ids, two sentences; Windows line ends."""
    place = folder / "glue" / "MRPC"
    place.mkdir(parents=True)
    for name, count, seed in (("train", train, 3), ("dev", dev, 4)):
        lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        lines += [f"{label}\t7\t8\tthe first\t{text}" for label, text in samples(count, seed)]
        (place / f"{name}.tsv").write_bytes("\r\n".join([*lines, ""]).encode("utf-8-sig"))
    return folder


def save_encoder(folder, width=16, layers=2):
    """A BERT with random weights and a tokenizer of whole words, as save_pretrained lays them out."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import BertProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(vocabulary), hidden_size=width, num_hidden_layers=layers, num_attention_heads=2,
            intermediate_size=2 * width, max_position_embeddings=64, initializer_range=0.3,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
    return str(folder)
