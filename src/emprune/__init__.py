"""emprune: dynamic data pruning for PyTorch. Train on the part of the data that pays, at an exact rate."""

from importlib.metadata import version as _version

from emprune import scoring, selection
from emprune.errors import (
    ArgumentError,
    DataError,
    EmpruneError,
    EpochOrderError,
    NonFiniteError,
    StateError,
)
from emprune.loading import IdBatches, PlanSampler, PrunedLoader
from emprune.plan import EpochPlan
from emprune.policies import (
    EMP,
    LFL,
    RS2,
    BatchRequest,
    BatchSelection,
    DynamicRandom,
    Full,
    InfoBatch,
    InfoBatchPublished,
    Policy,
    Request,
    StaticRandom,
    get_policy,
)
from emprune.pruner import Pruner
from emprune.report import Report
from emprune.scores import ScoreTable
from emprune.selection import Selection

__version__ = _version("emprune")

__all__ = [
    "EMP",
    "LFL",
    "RS2",
    "ArgumentError",
    "BatchRequest",
    "BatchSelection",
    "DataError",
    "DynamicRandom",
    "EmpruneError",
    "EpochOrderError",
    "EpochPlan",
    "Full",
    "IdBatches",
    "InfoBatch",
    "InfoBatchPublished",
    "NonFiniteError",
    "PlanSampler",
    "Policy",
    "PrunedLoader",
    "Pruner",
    "Report",
    "Request",
    "ScoreTable",
    "Selection",
    "StateError",
    "StaticRandom",
    "get_policy",
    "scoring",
    "selection",
]
