"""Images learnt without labels, from two augmented views of each: SimCLR and MoCo v2."""

from emprune_lab.tasks.contrastive.task import KIND

__all__ = ["KIND"]
