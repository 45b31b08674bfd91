"""How a model is trained: the settings that every policy of a comparison shares, and presets of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from emprune.errors import ArgumentError
from emprune_lab.specs.contrastive import Contrastive

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """An optimiser under a learning rate that goes over the run's exact steps.

    Attributes:
        model: name in the lab's models.
        epochs: E of a full run; ``short`` has fewer.
        batch_size: samples a step.
        max_lr, momentum, weight_decay: of the optimiser; AdamW takes momentum as β₁ and decays matrices only.
        optimizer: "sgd", "lars" or "adamw". nesterov: of SGD.
        label_smoothing: in [0, 1].
        pool: images are averaged over pool × pool pixels once, before training.
        shift: augmentation: shift by up to so many pixels and flip left to right; 0: none.
        train_size: number of training samples; None: all.
        precision: "bfloat16" runs the model under autocast; loss and optimiser stay in float32.
        schedule: "onecycle" (Smith & Topin 2018) or "linear", up from 0 and down to 0.
        pct_start: fraction of the steps in which the learning rate rises. div_factor, final_div_factor: as in
            OneCycleLR.
        clip_norm: largest Euclidean norm of the gradient of all parameters; None: not clipped.
        vocabulary: of language models: "characters", or "bpe" and the number of byte pairs.
        window: of language models: tokens of a sample; of a sentence the most, longer ones are cut.
        dropout: of language models, in [0, 1). text: what identifies a text without a published name.
        contrastive: how images are learnt without labels; None: with labels.
    """

    model: str
    epochs: int
    batch_size: int
    max_lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    pool: int = 1
    shift: int = 0
    train_size: int | None = None
    optimizer: Literal["sgd", "lars", "adamw"] = "sgd"
    nesterov: bool = True
    precision: Precision = "float32"
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    schedule: Literal["onecycle", "linear"] = "onecycle"
    clip_norm: float | None = None
    vocabulary: str = ""
    window: int = 0
    dropout: float = 0.0
    text: str = ""
    contrastive: Contrastive | None = None

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON values, without those at their default that the first results did not know.

        So that a run keeps its identity when recipes learn something new.
        """
        settings = dataclasses.asdict(self)
        return {name: value for name, value in settings.items() if _LATER.get(name, _UNKNOWN) != value}


_LATER: dict[str, Any] = {
    "schedule": "onecycle",
    "clip_norm": None,
    "vocabulary": "",
    "window": 0,
    "dropout": 0.0,
    "text": "",
    "contrastive": None,
}
_UNKNOWN = object()


@dataclass(frozen=True)
class Preset:
    """A named recipe with the annealing that belongs to it.

    Attributes:
        anneal: fraction of the epochs, at the end, that use all the data.
        source: where it comes from.
    """

    recipe: Recipe
    source: str
    anneal: float = 0.0


_INFOBATCH = Recipe(
    model="resnet18", epochs=200, batch_size=128, max_lr=0.05, nesterov=False, label_smoothing=0.1, shift=4,
    precision="bfloat16",
)  # fmt: skip

_GLUE = Recipe(
    model="minilm", epochs=5, batch_size=32, max_lr=1e-4, weight_decay=0.01, optimizer="adamw", schedule="linear",
    pct_start=0.1, clip_norm=1.0, window=64,
)  # fmt: skip

_TEXT = Recipe(
    model="gpt-4x128", epochs=8, batch_size=16, max_lr=3e-3, weight_decay=0.1, optimizer="adamw", schedule="linear",
    pct_start=0.1, clip_norm=1.0, vocabulary="bpe2048", window=64,
)  # fmt: skip

_SIMCLR = Recipe(
    model="resnet10-slim", epochs=40, batch_size=256, max_lr=0.3, train_size=20_000,
    contrastive=Contrastive(temperature=0.2),
)  # fmt: skip

# Presets for a processor are in float32: without instructions for bfloat16 a processor is many times slower in it, and
# a preset that asked the machine would give a run another identity on each.
PRESETS: dict[str, Preset] = {
    "digits": Preset(Recipe(model="mlp", epochs=30, batch_size=32, max_lr=0.1), "this project"),
    # Augmented, since otherwise full data gains nothing over 30 % of it and there is nothing to compare.
    "fashion-mnist": Preset(
        Recipe(model="cnn", epochs=24, batch_size=128, max_lr=0.1, pool=2, shift=1, train_size=20_000), "this project"
    ),
    "cpu": Preset(
        Recipe(model="resnet10-thin", epochs=40, batch_size=128, max_lr=0.2, shift=4, train_size=20_000),
        "this project: CIFAR sized for one core, and so that full data masters the training set",
    ),
    # Ten epochs: at a prune rate of 0.7 five of them show each sentence 1.5 times, and all scores lose to full data.
    "cola": Preset(dataclasses.replace(_GLUE, window=32, epochs=10), "this project"),
    "mrpc": Preset(_GLUE, "this project"),
    "rte": Preset(_GLUE, "this project"),
    "sst-2": Preset(dataclasses.replace(_GLUE, window=32), "this project"),
    "bpe-gpt": Preset(_TEXT, "this project"),
    "char-gpt": Preset(
        dataclasses.replace(_TEXT, model="gpt-3x96", epochs=6, max_lr=4e-3, vocabulary="characters"),
        "this project",
    ),
    "mlm-bert": Preset(
        dataclasses.replace(_TEXT, model="bert-2x128", epochs=10, vocabulary="bpe512", window=32), "this project"
    ),
    "simclr": Preset(_SIMCLR, "this project: sized for one core"),
    "moco": Preset(
        dataclasses.replace(_SIMCLR, contrastive=Contrastive("moco", temperature=0.2)),
        "this project, temperature as in MoCo v2; not tuned",
    ),
    "simclr-resnet18": Preset(
        dataclasses.replace(
            _SIMCLR,
            model="resnet18",
            epochs=200,
            batch_size=512,
            train_size=None,
            max_lr=0.6,
            precision="bfloat16",
            contrastive=Contrastive(temperature=0.5),
        ),
        "this project, for an accelerator, temperature as in SimCLR on CIFAR; not tuned",
    ),
    "infobatch": Preset(_INFOBATCH, "Qin et al., arXiv:2303.04947", anneal=0.125),
    "infobatch-resnet50": Preset(
        dataclasses.replace(_INFOBATCH, model="resnet50", optimizer="lars", max_lr=5.2),
        "Qin et al., arXiv:2303.04947",
        anneal=0.125,
    ),
}
"""Every preset by name."""

_PRESET_OF = {
    "digits": "digits", "fashion-mnist": "fashion-mnist", "cifar10": "cpu", "cifar100": "cpu", "cola": "cola",
    "mrpc": "mrpc", "rte": "rte", "sst-2": "sst-2", "tinyshakespeare": "bpe-gpt", "text": "bpe-gpt",
}  # fmt: skip


def preset_for(data: str, name: str | None = None) -> Preset:
    """The named preset, or the data set's own where none is named.

    Raises:
        ArgumentError: the preset or the data set is unknown.
    """
    if data not in _PRESET_OF:
        raise ArgumentError("data", data, f"one of {', '.join(_PRESET_OF)}")
    name = name or _PRESET_OF[data]
    if name not in PRESETS:
        raise ArgumentError("preset", name, f"one of {', '.join(PRESETS)}")
    return PRESETS[name]


def recipe_for(data: str) -> Recipe:
    """The recipe of the data set's own preset."""
    return preset_for(data).recipe
