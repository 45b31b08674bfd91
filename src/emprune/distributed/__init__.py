"""Several processes: who they are and how they exchange arrays (``world``), which rows of the score table a rank holds
(``rank_slice``), which part of a plan it trains (``partition``), what ranks tell each other of an epoch (``exchange``)
and the k-th smallest key of all ranks (``topk``). One process is the world of size 1: no other module asks how many
there are.
"""

from emprune.distributed.partition import Part, num_steps, part_of
from emprune.distributed.rank_slice import RankSlice
from emprune.distributed.world import ProcessGroup, World, check_agreement, current_world

__all__ = ["Part", "ProcessGroup", "RankSlice", "World", "check_agreement", "current_world", "num_steps", "part_of"]
