"""Selection rules: pure functions from scores to exactly k samples.

``rules`` holds what policies call, ``topk`` how exactly k of N are drawn, ``coresets`` subsets by features or strata
for static policies, and ``permutation`` the random order of an epoch. Nothing here knows of epochs, policies or
models.
"""

from emprune.selection.rank_rules import Selection
from emprune.selection.rules import RULES, sample, threshold, threshold_published, top, uniform

__all__ = ["RULES", "Selection", "sample", "threshold", "threshold_published", "top", "uniform"]
