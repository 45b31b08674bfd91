"""The scoring run of the static peers: a short run on all the data, watched step by step, then one pass over all."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune.scoring import classification
from emprune.scoring.forgetting import Forgetting
from emprune.scoring.static import el2n, grand, grand_last_layer, least_confidence, margin, wrong_margin
from emprune.selection.topk import Floats


def scoring_epochs(epochs: int) -> int:
    """Length of the scoring run of a recipe: a tenth of its epochs, at least 2."""
    return max(2, round(epochs / 10))


@dataclass(frozen=True)
class Cost:
    """What scoring took.

    Attributes:
        samples_forward, samples_backward: samples that went through the model.
        seconds: of training and scoring.
    """

    samples_forward: int = 0
    samples_backward: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.samples_forward + other.samples_forward,
            self.samples_backward + other.samples_backward,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Scored:
    """What a scoring run showed of each sample.

    Attributes:
        columns: float32, shape [N], by name; higher means harder.
        features: float32, shape [N, D], input of the last layer, or None where nothing needs it.
        cost: of everything but the column "grand"; grand_cost: of that.
    """

    columns: dict[str, Floats]
    features: Floats | None
    cost: Cost
    grand_cost: Cost = field(default_factory=Cost)


class ScoringRun:
    """Watches a run: feed it every training step, and finish it with a pass over all samples.

    One run, where Paul et al. average EL2N and GraNd over ten; its learning-rate schedule is a whole one,
    shortened (as DeepCore's), and not the beginning of a long one (as Paul et al.'s).

    Args:
        num_samples: N. device: where the logits arrive.
    """

    def __init__(self, num_samples: int, device: str | torch.device = "cpu") -> None:
        self.forgetting = Forgetting(num_samples, device)
        self.wrong_margins = torch.zeros(num_samples, device=device)
        self.samples = 0

    def after_step(self, ids: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Record a training step, with the logits that its forward pass gave.

        Args:
            ids: int64, shape [B], distinct. logits: shape [B, C], on the device. labels: int64, shape [B], likewise.
        """
        self.forgetting.update(ids, logits.detach().argmax(dim=1) == labels)
        self.wrong_margins[ids.to(self.wrong_margins.device, non_blocking=True)] += wrong_margin(logits, labels)
        self.samples += len(ids)

    def finish(
        self,
        model: nn.Sequential,
        batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
        *,
        with_grand: bool = False,
        with_features: bool = False,
        seconds_training: float = 0.0,
    ) -> Scored:
        """Score every sample with the trained model, in evaluation mode; the mode is put back afterwards.

        Args:
            model: its last module is the linear head; not a compiled one.
            batches: (images, labels) of all samples in the order of their ids, without augmentation.
            with_grand: whether to score GraNd over all parameters, which takes a backward pass a sample.
            with_features: whether to keep the features, 4·D bytes a sample.
            seconds_training: what the steps took.

        Raises:
            ArgumentError: the model's last module is not linear, or the batches are not N samples in all.
        """
        if not isinstance(model, nn.Sequential) or not len(model) or not isinstance(model[-1], nn.Linear):
            raise ArgumentError("model", type(model).__name__, "a Sequential whose last module is a Linear head")
        began = time.perf_counter()
        columns, seconds_grand = _score_all(model, batches, with_grand, with_features)
        total = len(columns["el2n"]) if columns else 0
        if total != len(self.wrong_margins):
            raise ArgumentError("batches", f"{total} samples", f"all {len(self.wrong_margins)} samples, in their order")
        columns["forgetting"] = self.forgetting.score().cpu().numpy()
        columns["aum"] = self.wrong_margins.cpu().numpy()
        seconds = seconds_training + time.perf_counter() - began - seconds_grand
        return Scored(
            features=columns.pop("features", None),
            columns=columns,
            cost=Cost(self.samples + total, self.samples, seconds),
            grand_cost=Cost(total, total, seconds_grand) if with_grand else Cost(),
        )


def _score_all(
    model: nn.Sequential, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], with_grand: bool, with_features: bool
) -> tuple[dict[str, Floats], float]:
    """The columns that one model gives, and the seconds that "grand" among them took."""
    parts: dict[str, list[torch.Tensor]] = {}
    seconds_grand, was_training = 0.0, model.training
    model.eval()
    try:
        for images, labels in batches:
            for name, values in _score_batch(model, images, labels, with_features).items():
                parts.setdefault(name, []).append(values.cpu())
            if with_grand:
                before = time.perf_counter()
                parts.setdefault("grand", []).append(grand(model, images, labels).cpu())
                seconds_grand += time.perf_counter() - before
    finally:
        model.train(was_training)
    return {name: torch.cat(values).numpy() for name, values in parts.items()}, seconds_grand


@torch.no_grad()
def _score_batch(
    model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor, with_features: bool
) -> dict[str, torch.Tensor]:
    hidden = model[:-1](images)
    logits = model[-1](hidden)
    columns = {
        "el2n": el2n(logits, labels),
        "grand_last_layer": grand_last_layer(logits, labels, hidden),
        "margin": margin(logits),
        "least_confidence": least_confidence(logits),
        "entropy": classification(logits, labels).memory,
    }
    return columns | ({"features": hidden.float()} if with_features else {})
