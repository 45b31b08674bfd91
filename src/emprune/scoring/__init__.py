"""From a model's outputs to a loss and a memory term a sample: pure functions, one module or folder a kind of task.

``classification``, ``confidence`` and ``gradients`` take class scores, ``bernoulli`` yes-or-no labels, ``dense`` maps
of classes, ``regression`` numbers, ``sequences`` tokens, ``views`` two augmented views of an image; ``static`` and
``forgetting`` give scores for subsets fixed beforehand, ``stored`` keeps them in a file, and ``capture`` catches
features of hidden layers on the way.
"""

from emprune.scoring.bernoulli import binary, multilabel
from emprune.scoring.classification import PerSample, classification
from emprune.scoring.confidence import confidence
from emprune.scoring.dense import dense
from emprune.scoring.gradients import gradient_products
from emprune.scoring.regression import PerPrediction, regression
from emprune.scoring.sequences.packing import sequence_ids_from_boundaries, sequence_ids_from_positions
from emprune.scoring.sequences.tokens import PerToken, check_labels, token_loss, tokens
from emprune.scoring.views.contrastive import contrastive, contrastive_queue
from emprune.scoring.views.infonce import info_nce, misalignment, ntxent, similarity_entropy

__all__ = [
    "PerPrediction",
    "PerSample",
    "PerToken",
    "binary",
    "check_labels",
    "classification",
    "confidence",
    "contrastive",
    "contrastive_queue",
    "dense",
    "gradient_products",
    "info_nce",
    "misalignment",
    "multilabel",
    "ntxent",
    "regression",
    "sequence_ids_from_boundaries",
    "sequence_ids_from_positions",
    "similarity_entropy",
    "token_loss",
    "tokens",
]
