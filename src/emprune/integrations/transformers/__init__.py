"""The transformers Trainer: ``trainer`` is what users import, ``epochs`` its callback, ``batches`` how ids travel,
``scores`` per-sample values from a model's outputs, ``checks`` what is refused before training starts.
"""

from emprune.integrations.transformers.trainer import PrunedTrainer, PruningMixin

__all__ = ["PrunedTrainer", "PruningMixin"]
