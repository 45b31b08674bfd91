"""SimCLR and MoCo v2: from two views of a batch to each image's loss and memory term."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from emprune import Capture
from emprune.scoring import PerSample, contrastive, contrastive_queue
from emprune.scoring.views.checks import Memory
from emprune_lab.tasks.contrastive.key_queue import KeyQueue
from emprune_lab.tasks.contrastive.networks import EncoderAndProjector, MomentumCopy, encoder_and_projector, stages
from emprune_lab.tasks.contrastive.settings import Contrastive

Pair = tuple[torch.Tensor, torch.Tensor]


class Outcome(NamedTuple):
    """Each image's loss and memory term, and the two views' projections [B, P], without gradient."""

    scores: PerSample
    projected: Pair


class Method(nn.Module):
    """What SimCLR and MoCo share.

    Args:
        online: the network that is trained.
        settings: ``memory`` is the run's, with "none" where its policy needs none.
        batch_size: the usual one, to which the scores of a shorter batch are raised.
    """

    def __init__(self, online: EncoderAndProjector, settings: Contrastive, batch_size: int) -> None:
        super().__init__()
        self.online, self.settings, self._batch_size = online, settings, batch_size
        self._layers = stages(online.encoder) if settings.memory == "stages" else []
        self._captured = Capture(online.encoder, self._layers)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> Outcome:
        """A step on two views, [B, C, H, W] each."""
        raise NotImplementedError

    def compile_encoders(self) -> None:
        """Put them through torch.compile; names in ``state_dict`` stay."""
        self.online.encoder.compile()

    @property
    def _term(self) -> Memory:
        return "hidden" if self.settings.memory == "stages" else self.settings.memory


class SimCLR(Method):
    """Chen et al. 2020, arXiv:2002.05709: the views of a batch's other images are the negatives."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> Outcome:
        """Both views in one pass, so that batch norm sees them together."""
        hidden, projected = self.online(torch.cat([first, second]))
        layers = list(self._captured.take().values()) if self._layers else [hidden]
        pair = _halves(projected)
        scores = contrastive(
            *pair, memory=self._term, hidden=[_halves(layer) for layer in layers],
            temperature=self.settings.temperature, memory_temperature=self.settings.memory_temperature,
            batch_size=self._batch_size,
        )  # fmt: skip
        return Outcome(scores, (pair[0].detach(), pair[1].detach()))


class MoCo(Method):
    """MoCo v2, Chen et al. 2020, arXiv:2003.04297: the keys of earlier batches are the negatives.

    The first view is the query, the second its key.

    Args:
        keys: of earlier batches.
    """

    def __init__(self, online: EncoderAndProjector, settings: Contrastive, batch_size: int, keys: KeyQueue) -> None:
        super().__init__(online, settings, batch_size)
        self.copy, self.queue = MomentumCopy(online), keys
        self._captured_copy = Capture(self.copy.encoder, self._layers)

    def compile_encoders(self) -> None:
        """Both."""
        super().compile_encoders()
        self.copy.encoder.compile()

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> Outcome:
        """With gradient, the copy follows first and the queue takes the keys in; without, both stay as they are."""
        if torch.is_grad_enabled():
            self.copy.follow(self.online, self.settings.momentum)
        hidden, queries = self.online(first)
        hidden_keys, keys = self.copy(second)
        pairs = [(hidden, hidden_keys)]
        if self._layers:
            pairs = list(zip(self._captured.take().values(), self._captured_copy.take().values(), strict=True))
        scores = contrastive_queue(
            queries, keys, self.queue.keys, memory=self._term, hidden=pairs,
            temperature=self.settings.temperature, memory_temperature=self.settings.memory_temperature,
            batch_size=self._batch_size,
        )  # fmt: skip
        if torch.is_grad_enabled():
            self.queue.enqueue(keys)
        return Outcome(scores, (queries.detach(), keys))


def build_method(
    model: str, channels: int, size: int, settings: Contrastive, batch_size: int, seed: int, *, compiled: bool = False
) -> Method:
    """The method that the settings name, with weights drawn from ``seed`` alone.

    Args:
        model: a key of :data:`emprune_lab.networks.models.MODELS`, whose linear head is left out.
        channels, size: of the images, [B, channels, size, size].
        compiled: whether encoders go through torch.compile.

    Raises:
        ArgumentError: the model is unknown, or the memory term has no layers in it.
    """
    online = encoder_and_projector(model, channels, size, seed, settings.projection)
    method: Method
    if settings.method == "moco":
        method = MoCo(online, settings, batch_size, KeyQueue(settings.queue, settings.projection, seed))
    else:
        method = SimCLR(online, settings, batch_size)
    if compiled:
        method.compile_encoders()
    return method


def _halves(both: torch.Tensor) -> Pair:
    first, second = both.chunk(2)
    return first, second
