"""Small GPTs and BERTs, from scratch: transformers' models of a configuration, weights drawn from the seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune_lab.extras import needed


@dataclass(frozen=True)
class Size:
    """layers, width and heads of a transformer; the hidden layer of its blocks is four times as wide."""

    layers: int
    width: int
    heads: int


def gpt(size: Size, vocabulary: int, length: int, dropout: float) -> nn.Module:
    """GPT-2 (Radford et al. 2019): pre-norm, learned positions, embeddings shared with the output.

    Dropout on the embeddings and the blocks' outputs, not on attention, where it would rule out the fast kernels.
    """
    transformers = needed("transformers", "language")
    configuration = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=length, n_embd=size.width, n_layer=size.layers, n_head=size.heads,
        activation_function="gelu_pytorch_tanh", resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=0.0,
        initializer_range=_spread(size), bos_token_id=None, eos_token_id=None, use_cache=False,
        attn_implementation="sdpa",
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(configuration)  # type: ignore[no-any-return]


def bert(size: Size, vocabulary: int, length: int, dropout: float) -> nn.Module:
    """BERT (Devlin et al. 2018) with a masked-language-model head, one segment, embeddings shared with the output."""
    transformers = needed("transformers", "language")
    configuration = transformers.BertConfig(
        vocab_size=vocabulary, max_position_embeddings=length, hidden_size=size.width, num_hidden_layers=size.layers,
        num_attention_heads=size.heads, intermediate_size=4 * size.width, type_vocab_size=1, hidden_act="gelu",
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=0.0, initializer_range=_spread(size),
        pad_token_id=None, attn_implementation="sdpa",
    )  # fmt: skip
    return transformers.BertForMaskedLM(configuration)  # type: ignore[no-any-return]


def _spread(size: Size) -> float:
    """Of the initial weights: the 0.02 of the papers is for a width near 1,000, and too little here by far."""
    return float(size.width**-0.5)


def size_of(name: str) -> tuple[str, Size]:
    """Read a model's name, "gpt-4x128": kind, layers and width; one head for 32 of width.

    Raises:
        ArgumentError: it is no such name.

    >>> size_of("gpt-4x128")
    ('gpt', Size(layers=4, width=128, heads=4))
    """
    found = re.fullmatch(r"(gpt|bert)-([1-9][0-9]*)x([1-9][0-9]*)", name)
    if found is None or int(found[3]) % 32:
        raise ArgumentError("model", name, "gpt or bert with layers and width, a multiple of 32: gpt-4x128, bert-4x128")
    return found[1], Size(int(found[2]), int(found[3]), int(found[3]) // 32)


def build(name: str, vocabulary: int, length: int, seed: int, *, dropout: float = 0.0) -> nn.Module:
    """Build a model by name with weights drawn from ``seed`` alone; the global generator is left as it was.

    Args:
        name: see :func:`size_of`.
        vocabulary: tokens.
        length: of a window.
        dropout: in [0, 1).

    Raises:
        ArgumentError: the name or the dropout is not allowed. DataError: the package transformers is missing.
    """
    kind, size = size_of(name)
    if not 0 <= dropout < 1:
        raise ArgumentError("dropout", dropout, "a number in [0, 1)")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return (gpt if kind == "gpt" else bert)(size, vocabulary, length, dropout)


def logits_of(model: nn.Module, *, compiled: bool = False) -> Callable[[torch.Tensor], torch.Tensor]:
    """What the model predicts, as a function from tokens, int64 [B, T], to logits [B, T, vocabulary].

    Args:
        compiled: whether it goes through torch.compile.
    """
    call: Callable[..., Any] = torch.compile(model) if compiled else model
    return lambda tokens: call(input_ids=tokens).logits
