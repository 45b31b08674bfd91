"""The public names of the package; ``emprune.Name`` is imported from here when it is first asked for."""

from emprune import checkpoint, scoring, selection
from emprune.advice import Advice, advise
from emprune.epoch.auto_rate import AutoRate
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
    GatedEMP,
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
from emprune.selection.blocks import Blocks
from emprune.selection.quotas import Quotas
from emprune.stream.batch_pruner import BatchPruner
from emprune.table import ScoreTable

__all__ = [
    "EMP",
    "LFL",
    "RS2",
    "SCAN",
    "UCB",
    "Advice",
    "ArgumentError",
    "AutoRate",
    "BatchPruner",
    "BatchRequest",
    "BatchSelection",
    "Blocks",
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
    "GatedEMP",
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
    "Quotas",
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
    "advise",
    "checkpoint",
    "get_policy",
    "scoring",
    "selection",
]
