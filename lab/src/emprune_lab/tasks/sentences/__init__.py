"""Fine-tuning a pretrained encoder on sentences: four tasks of GLUE."""

from emprune_lab.tasks.sentences.task import KIND

__all__ = ["KIND"]
