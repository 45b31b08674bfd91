"""Classification of images."""

from emprune_lab.tasks.images.task import KIND

__all__ = ["KIND"]
