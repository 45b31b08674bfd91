"""From outputs to per-sample loss and memory term: pure functions without state."""

from emprune.scoring.classification import PerSample, classification

__all__ = ["PerSample", "classification"]
