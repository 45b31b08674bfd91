"""emprune: dynamic data pruning for PyTorch. Train on the part of the data that pays, at an exact rate."""

from emprune import checkpoint, scoring, selection
from emprune.epoch.plan import EpochPlan
from emprune.errors import (
    ArgumentError,
    DataError,
    EmpruneError,
    EmpruneWarning,
    EpochOrderError,
    NonFiniteError,
    StateError,
)
from emprune.loader import IdBatches, PlanSampler, PrunedLoader
from emprune.policies import (
    EMP,
    LFL,
    RS2,
    SCAN,
    UCB,
    BatchRequest,
    BatchSelection,
    DivBS,
    DynamicRandom,
    EpsilonGreedy,
    Full,
    InBatchPolicy,
    InfoBatch,
    InfoBatchPublished,
    Kakurenbo,
    OrderDP,
    Policy,
    RePB,
    Request,
    SelectiveBackprop,
    SeTa,
    SeTaPublished,
    StaticRandom,
    StaticScores,
    StaticSubset,
    get_policy,
)
from emprune.pruner import Pruner
from emprune.report import Report
from emprune.scoring.capture import Capture
from emprune.selection import Selection
from emprune.table import ScoreTable

__version__ = "0.1.0"

__all__ = [
    "EMP",
    "LFL",
    "RS2",
    "SCAN",
    "UCB",
    "ArgumentError",
    "BatchRequest",
    "BatchSelection",
    "Capture",
    "DataError",
    "DivBS",
    "DynamicRandom",
    "EmpruneError",
    "EmpruneWarning",
    "EpochOrderError",
    "EpochPlan",
    "EpsilonGreedy",
    "Full",
    "IdBatches",
    "InBatchPolicy",
    "InfoBatch",
    "InfoBatchPublished",
    "Kakurenbo",
    "NonFiniteError",
    "OrderDP",
    "PlanSampler",
    "Policy",
    "PrunedLoader",
    "Pruner",
    "RePB",
    "Report",
    "Request",
    "ScoreTable",
    "SeTa",
    "SeTaPublished",
    "Selection",
    "SelectiveBackprop",
    "StateError",
    "StaticRandom",
    "StaticScores",
    "StaticSubset",
    "checkpoint",
    "get_policy",
    "scoring",
    "selection",
]
