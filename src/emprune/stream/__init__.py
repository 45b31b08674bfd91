"""Pruning a stream, whose samples have no ids to ask for.

``batch_pruner`` is what a user holds, ``shares`` says how many of each batch are trained, ``choice`` which ones, and
``parts`` cuts them out of a batch.
"""

from __future__ import annotations

from emprune.stream.batch_pruner import BatchPruner

__all__ = ["BatchPruner"]
