"""From outputs to per-sample values: pure functions without state."""

from emprune.scoring.classification import PerSample, classification
from emprune.scoring.confidence import confidence
from emprune.scoring.gradients import gradient_products

__all__ = ["PerSample", "classification", "confidence", "gradient_products"]
