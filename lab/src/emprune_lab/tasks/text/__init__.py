"""Pre-training on text: a GPT predicts the next token, a BERT hidden ones."""

from emprune_lab.tasks.text.task import KIND

__all__ = ["KIND"]
