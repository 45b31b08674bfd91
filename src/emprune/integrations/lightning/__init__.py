"""Lightning: ``callback`` is what users import, ``loader`` what the trainer iterates then, ``lengths`` the steps of its
epochs, ``checkpoints`` what a checkpoint says of one in progress, ``checks`` what is refused before training starts.
"""

from emprune.integrations.lightning.callback import Pruning

__all__ = ["Pruning"]
