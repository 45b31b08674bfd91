"""SimCLR and MoCo v2: from two views of a batch to each image's loss and memory term."""

from __future__ import annotations

import copy
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn.functional import normalize
from torch.optim.swa_utils import get_ema_multi_avg_fn

from emprune import Capture
from emprune.scoring import PerSample, contrastive, contrastive_queue
from emprune.seeding import derive_seed
from emprune_lab.tasks.contrastive.networks import EncoderAndProjector, encoder_and_projector, stages
from emprune_lab.tasks.contrastive.settings import Contrastive

Pair = tuple[torch.Tensor, torch.Tensor]


class Outcome(NamedTuple):
    """Each image's loss and memory term, and the two views' projections [B, P], without gradient."""

    scores: PerSample
    projected: Pair


class SimCLR(nn.Module):
    """Chen et al. 2020, arXiv:2002.05709: the views of a batch's other images are the negatives.

    Args:
        online: the network that is trained.
        settings: ``memory`` is the run's, with "none" where its policy needs none.
        batch_size: the usual one, to which the scores of a shorter batch are raised.
    """

    def __init__(self, online: EncoderAndProjector, settings: Contrastive, batch_size: int) -> None:
        super().__init__()
        self.online, self.settings, self.batch_size = online, settings, batch_size
        self._layers = stages(online.encoder) if settings.memory == "stages" else []
        self._captured = Capture(online.encoder, self._layers)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> Outcome:
        """A step on two views, [B, C, H, W] each; both in one pass, so that batch norm sees them together."""
        hidden, projected = self.online(torch.cat([first, second]))
        layers = list(self._captured.take().values()) if self._layers else [hidden]
        pair = _halves(projected)
        scores = contrastive(
            *pair, memory=self._term, hidden=[_halves(layer) for layer in layers],
            temperature=self.settings.temperature, memory_temperature=self.settings.memory_temperature,
            batch_size=self.batch_size,
        )  # fmt: skip
        return Outcome(scores, (pair[0].detach(), pair[1].detach()))

    def compile_encoders(self) -> None:
        """Put them through torch.compile; names in ``state_dict`` stay."""
        self.online.encoder.compile()

    @property
    def _term(self) -> Literal["hidden", "projector", "alignment", "none"]:
        return "hidden" if self.settings.memory == "stages" else self.settings.memory


class MoCo(SimCLR):
    """MoCo v2, Chen et al. 2020, arXiv:2003.04297: the keys of earlier batches are the negatives.

    The first view is the query, the second its key. Keys come from a copy of the network that follows it slowly (He et
    al. 2020, arXiv:1911.05722, section 3.2). The copy's batch norms take the statistics of the batch of keys; its
    running statistics are its own and do not follow, as in MoCo's published code.

    A departure: MoCo shuffles the keys' batch between devices, so that batch norm does not tell which key belongs to
    which query. On one device there is nothing to shuffle with, and so nothing is.

    Attributes:
        copy: gets no gradient, and is part of ``state_dict``.
        queue: the keys of the latest batches.
    """

    def __init__(self, online: EncoderAndProjector, settings: Contrastive, batch_size: int, seed: int) -> None:
        super().__init__(online, settings, batch_size)
        self.copy = copy.deepcopy(online).requires_grad_(False)
        self.queue = KeyQueue(settings.queue, settings.projection, seed)
        self._captured_copy = Capture(self.copy.encoder, self._layers)

    def compile_encoders(self) -> None:
        """Both."""
        super().compile_encoders()
        self.copy.encoder.compile()

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> Outcome:
        """With gradient, the copy follows first and the queue takes the keys in; without, both stay as they are."""
        if torch.is_grad_enabled():
            follow(self.copy, self.online, self.settings.momentum)
        hidden, queries = self.online(first)
        with torch.no_grad():
            hidden_keys, keys = self.copy(second)
        pairs = [(hidden, hidden_keys)]
        if self._layers:
            pairs = list(zip(self._captured.take().values(), self._captured_copy.take().values(), strict=True))
        scores = contrastive_queue(
            queries, keys, self.queue.keys, memory=self._term, hidden=pairs,
            temperature=self.settings.temperature, memory_temperature=self.settings.memory_temperature,
            batch_size=self.batch_size,
        )  # fmt: skip
        if torch.is_grad_enabled():
            self.queue.enqueue(keys)
        return Outcome(scores, (queries.detach(), keys))


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    """θ_k ← m·θ_k + (1 - m)·θ_q, equation 2 of MoCo, of all parameters; call it before the keys are computed."""
    average = get_ema_multi_avg_fn(momentum)  # type: ignore[no-untyped-call]
    average(list(follower.parameters()), list(leader.parameters()), None)


class KeyQueue(nn.Module):
    """A ring of normalised keys (He et al. 2020, arXiv:1911.05722, section 3.2 and algorithm 1), saved with the model.

    Keys drawn from the seed, uniform on the sphere, fill it before the first batches come.

    Args:
        size: K, keys that it holds.
        width: P, of a key.

    Attributes:
        keys: float32, shape [K, P], each of norm 1.
        position: int64, no shape: where the next batch is written, in [0, K).
    """

    keys: torch.Tensor
    position: torch.Tensor

    def __init__(self, size: int, width: int, seed: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(derive_seed(seed, 0, "queue of keys", bits=56))
        self.register_buffer("keys", normalize(torch.randn(size, width, generator=rng)))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: torch.Tensor) -> None:
        """Write keys, [B, P] with B ≤ K, any norm, over the oldest ones; K need be no multiple of B.

        ``self.keys`` becomes a new tensor: a loss on the old one can still be differentiated.
        """
        size = len(self.keys)
        places = (self.position + torch.arange(len(keys), device=self.keys.device)) % size
        self.keys = self.keys.index_copy(0, places, normalize(keys.to(self.keys)))
        self.position = (self.position + len(keys)) % size


def build_method(
    model: str, channels: int, size: int, settings: Contrastive, batch_size: int, seed: int, *, compiled: bool = False
) -> SimCLR:
    """The method that the settings name, with weights drawn from ``seed`` alone.

    Args:
        model: a key of :data:`emprune_lab.networks.models.MODELS`, whose linear head is left out.
        channels, size: of the images, [B, channels, size, size].
        compiled: whether encoders go through torch.compile.

    Raises:
        ArgumentError: the model is unknown, or the memory term has no layers in it.
    """
    online = encoder_and_projector(model, channels, size, seed, settings.projection)
    moco = settings.method == "moco"
    method = MoCo(online, settings, batch_size, seed) if moco else SimCLR(online, settings, batch_size)
    if compiled:
        method.compile_encoders()
    return method


def _halves(both: torch.Tensor) -> Pair:
    first, second = both.chunk(2)
    return first, second
