"""Several processes: who they are and how they exchange arrays (``world``), which rows of the score table a rank holds
(``rank_slice``), which positions of a plan it trains (``partition``) and the k-th smallest key of all ranks (``topk``).
One process is the world of size 1.
"""

from emprune.distributed.partition import RankPositions, num_steps, rank_positions
from emprune.distributed.rank_slice import RankSlice
from emprune.distributed.world import ProcessGroup, World, check_agreement, current_world

__all__ = [
    "ProcessGroup", "RankPositions", "RankSlice", "World", "check_agreement", "current_world", "num_steps",
    "rank_positions",
]  # fmt: skip
