"""From outputs to per-sample values: pure functions without state."""

from emprune.scoring.classification import PerSample, classification
from emprune.scoring.confidence import confidence
from emprune.scoring.gradients import gradient_products
from emprune.scoring.packing import sequence_ids_from_boundaries, sequence_ids_from_positions
from emprune.scoring.tokens import PerToken, check_labels, token_loss, tokens

__all__ = [
    "PerSample",
    "PerToken",
    "check_labels",
    "classification",
    "confidence",
    "gradient_products",
    "sequence_ids_from_boundaries",
    "sequence_ids_from_positions",
    "token_loss",
    "tokens",
]
