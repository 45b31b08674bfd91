"""How policies, data and networks are called in tables and figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from studies.map.runs import Place

from emprune_lab.records.metrics import METRICS, Metric

PAPER, FIXED, GATED = "emp:beta=1:gamma=1", "emp", "emp-gated"
"""EMP's score with the β of the paper's formula; EMP with fixed constants; EMP that follows the generalisation gap."""
POLICIES = {
    "short": "fewer epochs", "rs2": "RS2", "lfl": "LFL", "orderdp": "OrderDP", "infobatch": "InfoBatch",
    PAPER: "EMP, β = 1", FIXED: "EMP, fixed", GATED: "EMP, gated",
}  # fmt: skip
"""Label that runs carry → name, in the order of tables."""
_DATA = {
    "fashion-mnist": "Fashion-MNIST", "digits": "digits", "cifar100": "CIFAR-100", "cola": "CoLA", "mrpc": "MRPC",
    "tinyshakespeare": "TinyShakespeare", "canvases": "canvases",
}  # fmt: skip
_NETWORKS = {
    "mlp": "MLP", "cnn": "CNN", "resnet10-thin": "thin ResNet-10", "resnet18": "ResNet-18", "minilm": "MiniLM",
    "gpt-4x128": "GPT", "resnet10-slim": "SimCLR", "multilabel": "several labels", "dense": "segmentation",
}  # fmt: skip


def shown(present: Iterable[str]) -> list[str]:
    """Those of :data:`POLICIES` that are present, in its order."""
    found = set(present)
    return [policy for policy in POLICIES if policy in found]


def data_of(place: Place) -> str:
    """Data set and network."""
    return f"{_DATA.get(place.data, place.data)}, {_NETWORKS.get(place.network, place.network)}"


def labels_of(place: Place) -> str:
    """What is wrong with the labels or uneven in the classes; "" where nothing is."""
    noise = f"{place.label_noise:.0%} wrong labels" if place.label_noise else ""
    return f"classes up to {place.imbalance:g} : 1" if place.imbalance != 1 else noise


def setting_of(place: Place, anneal: float) -> str:
    """The place in words, and the part of its epochs that train on all data."""
    annealed = f"{anneal:.1%} annealed" if anneal else ""
    return ", ".join(filter(None, [data_of(place), labels_of(place), annealed]))


def order_of(place: Place) -> tuple[object, ...]:
    """Ascends in the order of tables: supervised first, then by data set, samples, network and noise."""
    data, network = (
        list(known).index(name) if name in known else len(known)
        for known, name in ((_DATA, place.data), (_NETWORKS, place.network))
    )
    return _NETWORKS.get(place.network) == "SimCLR", data, place.num_samples, network, place.label_noise, place


def metric_of(place: Place) -> Metric:
    """Its metric as runs hold it: scaled, higher is better. One that the laboratory does not know is in percent."""
    known = METRICS.get(place.metric, Metric(place.metric, place.metric))
    return dataclasses.replace(known, higher_is_better=True)
