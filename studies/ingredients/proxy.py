"""Plans made by a small network that trains beside the large one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from emprune import Policy
from emprune.policies import Request
from emprune.scoring import PerSample, classification
from emprune.selection import Selection, sample

_CHUNK = 1000


def small_cnn(channels: int, size: int, num_classes: int, seed: int) -> nn.Sequential:
    """A quarter of the laboratory's CNN: two convolutions of 8 and 16 channels, and a hidden layer of 32."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, 32), nn.ReLU(), nn.Linear(32, num_classes),
        )  # fmt: skip
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Proxy:
    """A small network, its optimiser, and what it cost.

    Batch norms take each batch's own moments, in scoring too: after a few steps running ones are those of the start.

    Args:
        model: logits of images.
        learning_rate: of SGD with a Nesterov momentum of 0.9, the same in all steps.

    Attributes:
        forwarded: samples forwarded to be scored. trained: samples through forward and backward.
    """

    def __init__(self, model: nn.Module, learning_rate: float) -> None:
        self._model = model
        self._optimizer = torch.optim.SGD(model.parameters(), learning_rate, 0.9, weight_decay=5e-4, nesterov=True)
        self.forwarded = self.trained = 0

    def train(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """One step on a batch, images float32 [B, C, H, W] and labels int64 [B]."""
        F.cross_entropy(self._model(images), labels).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.trained += len(labels)

    @torch.no_grad()
    def score(self, images: torch.Tensor, labels: torch.Tensor) -> PerSample:
        """Loss and entropy of each sample, float32 [B] each, in nats."""
        self.forwarded += len(labels)
        return classification(self._model(images), labels)


@dataclass(repr=False)
class ByProxy(Policy):
    """Another policy chooses candidates, twice as many as are to be trained; a small network picks half of them.

    In the first epoch, when the proxy knows nothing, the other policy's k samples are trained.

    Source: training on what a small network finds hard, as in airbench96 (Jordan, arXiv:2404.00498); there the
    small network is trained beforehand.

    Args:
        candidates: chooses them.
        scores: (ids int64 [M], epoch) → float32 [M].
        rule: "hard": the half with the higher scores; "sampled": drawn in proportion to score².
    """

    candidates: Policy
    scores: Callable[[NDArray[np.int64], int], NDArray[np.float32]]
    rule: str

    name = "by-proxy"
    source = "this project, after airbench96 (arXiv:2404.00498)"
    inputs = ("loss", "memory")

    def select(self, request: Request) -> Selection:
        if request.epoch == 0:
            return self.candidates.select(request)
        pool = self.candidates.select(replace(request, k=min(2 * request.k, request.num_samples))).ids
        scores = self.scores(pool, request.epoch)
        if self.rule == "hard":
            return Selection(pool[harder_part(scores, request.k)])
        return Selection(pool[sample(scores, request.k, request.rng("by proxy"), gamma=2.0).ids])

    def settings(self) -> dict[str, str]:
        return {"candidates": repr(self.candidates), "rule": self.rule}


def harder_part(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """int64, shape [k]: positions of the k highest of the scores, shape [M], k ≤ M."""
    return np.argsort(-scores, kind="stable")[:k].astype(np.int64)


def scored_in_chunks(ids: NDArray[np.int64], score: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[np.float32]:
    """float32, shape [M]: scores of ids, some of them at a time."""
    chunks = torch.from_numpy(ids).split(_CHUNK)  # type: ignore[no-untyped-call]
    return np.concatenate([score(chunk).numpy() for chunk in chunks])
