"""What a policy is: the interface that built-in and users' own policies share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from emprune.scores import ScoreTable
from emprune.seeding import generator
from emprune.selection import Selection
from emprune.shard import Shard

if TYPE_CHECKING:
    from emprune.observations import Collected


@dataclass(frozen=True)
class Request:
    """What the pruner asks a policy for, once an epoch.

    Attributes:
        table: what training has shown so far; read-only for the policy.
        k: how many samples to keep, 1 ≤ k ≤ N.
        epoch: from 0.
        num_epochs: length of the run.
        prune_rate: 1 - k/N of this epoch.
        seed: the run's seed; draw from :meth:`rng` instead.
    """

    table: ScoreTable
    k: int
    epoch: int
    num_epochs: int
    seed: int

    @property
    def prune_rate(self) -> float:
        return 1 - self.k / self.num_samples

    @property
    def num_samples(self) -> int:
        """N, of which the table holds this rank's rows."""
        return self.table.shard.num_samples

    @property
    def shard(self) -> Shard:
        """Which rows the table holds; to hand on to the selection rule."""
        return self.table.shard

    def rng(self, purpose: str = "select", *, every_epoch: bool = True) -> np.random.Generator:
        """A generator for this epoch; with ``every_epoch=False`` the same one in all epochs."""
        return generator(self.seed, self.epoch if every_epoch else -1, purpose)


@dataclass(frozen=True)
class BatchRequest:
    """What the pruner asks an in-batch policy for, once a batch.

    Attributes:
        loss: float32, shape [B], detached, on the loss's device.
        memory: float32, shape [B], detached, or None.
        features: floating point, shape [B, D], detached, as given to the pruner, or None.
        k: this batch's share of the epoch's samples, 0 ≤ k < B; the shares of an epoch add up exactly.
        rng: a generator of this batch's own.
    """

    loss: torch.Tensor
    memory: torch.Tensor | None
    features: torch.Tensor | None
    k: int
    rng: np.random.Generator


@dataclass(frozen=True)
class BatchSelection:
    """Which samples of a batch go through backward.

    Attributes:
        positions: int64, shape [b], distinct positions within the batch, on the loss's device; None: all.
        weights: float32, shape [b], factor of each one's loss; None: ones.
    """

    positions: torch.Tensor | None = None
    weights: torch.Tensor | None = None


class Policy:
    """Chooses the samples of an epoch, or of each batch. Subclass it and override one method.

    Class attributes:
        name: as it is called in the registry, reports and saved state.
        source: where the rule comes from.
        needs_memory: whether observations must carry a memory term.
        needs_features: whether batches must carry features (in-batch policies).
        scorer: name of the function in ``emprune.scoring`` whose two values the policy is written for.
        within_batch: True for a policy that forwards every sample and picks those that go through
            backward inside each batch, by :meth:`select_within_batch`.
        observes_hidden: True where the training loop should also forward the samples that an epoch left
            out (``EpochPlan.left_out``) at its end and hand them to :meth:`emprune.Pruner.observe`.
        shardable: True where :meth:`select` works on a part of the table, a rank's rows: it hands
            ``request.shard`` on to a selection rule, and looks at the scores of other ranks by it alone.
        columns: names and initial values of further float32 columns that the score table holds for the
            policy; :meth:`update` writes them, and they are saved with the table.
    """

    name: ClassVar[str] = "policy"
    source: ClassVar[str] = "user code"
    needs_memory: ClassVar[bool] = False
    needs_features: ClassVar[bool] = False
    scorer: ClassVar[str] = "classification"
    within_batch: ClassVar[bool] = False
    observes_hidden: ClassVar[bool] = False
    shardable: ClassVar[bool] = False
    columns: ClassVar[Mapping[str, float]] = {}

    def select(self, request: Request) -> Selection:
        """k distinct ids, with weights if the rule has any. Called once an epoch, not for full ones.

        A *static* policy returns the same subset each time: from scores given to its constructor, or
        from ``request.rng(every_epoch=False)``. Of a sharded table: rows of the shard, k on all ranks.
        """
        raise NotImplementedError(f"{type(self).__name__} must override select or set within_batch = True.")

    @classmethod
    def can_be_sharded(cls) -> bool:
        """Whether the class whose ``select`` this is says so: a subclass's own select must say it again."""
        for base in cls.__mro__:
            if "shardable" in vars(base):
                return bool(vars(base)["shardable"])
            if "select" in vars(base):
                break
        return False

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        """k of a batch's samples (in-batch policies). k is 0 where the batch's share rounds to none."""
        raise NotImplementedError(f"{type(self).__name__} must override select_within_batch.")

    def update(self, table: ScoreTable, seen: Collected) -> None:
        """Write the policy's own columns, by ``table.column(name)[seen.ids] = ...``.

        Called whenever observations move into the table, before they replace its last values.

        Args:
            seen: finite observations of one epoch; ids are distinct (of repeated ones, the last).
        """

    def learning_rate_factor(self, kept: int, num_samples: int) -> float:
        """Factor of the learning rate in an epoch that trains ``kept`` samples; 1 unless the rule has one."""
        return 1.0

    def epoch_size(self, num_samples: int, k: int) -> int | None:
        """How many ids :meth:`select` returns when asked for k: k itself, unless a published rule differs.

        None where it depends on the scores; the length of such a run is not known beforehand.
        """
        return k

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; part of the saved state's fingerprint."""
        return dict(vars(self))

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.settings().items())
        return f"{type(self).__name__}({inside})"
