"""State on disk: ``saving`` is what users call, ``format`` the file's layout and digest, ``rank_files`` says where each
rank of a partitioned table keeps its own, ``fingerprint`` identifies a data set.
"""

from emprune.atomic import atomic_write
from emprune.checkpoint.fingerprint import fingerprint_of
from emprune.checkpoint.saving import OVERRIDABLE, load_state, restore, save, save_state

__all__ = ["OVERRIDABLE", "atomic_write", "fingerprint_of", "load_state", "restore", "save", "save_state"]
