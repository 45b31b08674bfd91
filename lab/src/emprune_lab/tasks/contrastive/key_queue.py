"""MoCo's queue: the keys of the latest batches, which serve as negatives."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize

from emprune.errors import ArgumentError
from emprune.seeding import derive_seed


class KeyQueue(nn.Module):
    """A ring of normalised keys (He et al. 2020, arXiv:1911.05722, section 3.2 and algorithm 1), saved with the model.

    Keys drawn from the seed, uniform on the sphere, fill it before the first batches come.

    Args:
        size: K, keys that it holds. width: P, of a key.

    Attributes:
        keys: float32, shape [K, P], each of norm 1.
        position: int64, no shape: where the next batch is written, in [0, K).

    Raises:
        ArgumentError: a size or width below 1.
    """

    keys: torch.Tensor
    position: torch.Tensor

    def __init__(self, size: int, width: int, seed: int) -> None:
        super().__init__()
        for name, value in (("size", size), ("width", width)):
            if value < 1:
                raise ArgumentError(name, value, "an integer of at least 1")
        rng = torch.Generator().manual_seed(derive_seed(seed, 0, "queue of keys", bits=56))
        self.register_buffer("keys", normalize(torch.randn(size, width, generator=rng)))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.keys)

    @torch.no_grad()
    def enqueue(self, keys: torch.Tensor) -> None:
        """Write keys over the oldest ones; the device is not waited for, so values are not looked at.

        ``self.keys`` becomes a new tensor: a loss on the old one can still be differentiated.

        Args:
            keys: floating point, shape [B, P] with B ≤ K, any norm; K need be no multiple of B.

        Raises:
            ArgumentError: another shape, or more keys than the queue holds; nothing is written.
        """
        size, width = self.keys.shape
        if keys.ndim != 2 or keys.shape[1] != width or not keys.is_floating_point():
            raise ArgumentError("keys", f"{keys.dtype} {list(keys.shape)}", f"floating point [B, {width}]")
        if len(keys) > size:
            raise ArgumentError(
                "keys", list(keys.shape), f"at most {size}, the size of the queue",
                "Make the queue at least as long as a batch.",
            )  # fmt: skip
        places = (self.position + torch.arange(len(keys), device=self.keys.device)) % size
        self.keys = self.keys.index_copy(0, places, normalize(keys.to(self.keys)))
        self.position = (self.position + len(keys)) % size
