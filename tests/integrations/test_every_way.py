"""One table, no empty cell: each way to train by each thing that may happen, all of them the same run.

| | resumed after a kill | accumulation | two processes | annealing | all at once |
|---|---|---|---|---|---|
| plain loop, accelerate, Trainer, Lightning | ✓ | ✓ | ✓ | ✓ | ✓ |

Each cell is compared with a loop written here: the samples of each batch in their order, and the weights at the end.
What one way has beyond that is tested beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from every_way import GLOBAL_BATCH, WAYS, Net, Rows, Server, new_optimizer, new_pruner, scores

EVENTS: dict[str, dict[str, Any]] = {
    "resumed after a kill": {"stops": [7, 5]},
    "accumulation": {"accumulation": 2},
    "two processes": {"ranks": 2},
    "annealing": {"anneal": 0.25},
    "all at once": {"stops": [8, 11], "accumulation": 2, "ranks": 2, "anneal": 0.25},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@cache
def reference(accumulation: int, anneal: float) -> tuple[list[Any], list[float]]:
    """Epoch and ids of each batch, and the weights at the end; the plan is followed by hand."""
    model, pruner, data = Net(), new_pruner(anneal), Rows()
    optimizer, batches = new_optimizer(model), []
    for epoch in pruner.epochs():
        for place, ids in enumerate(torch.from_numpy(pruner.plan.ids.copy()).split(GLOBAL_BATCH), start=1):
            loss = pruner.loss(ids, *scores(model(data.features[ids]), data.labels[ids]))
            (loss / accumulation).backward()
            if place % accumulation == 0:
                optimizer.step()
                optimizer.zero_grad()
            batches.append([epoch, ids.tolist()])
    return batches, weights_of(model)


def weights_of(model: Any) -> list[float]:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).tolist()


def logged(folder: Path, session: int, ranks: int) -> list[Any]:
    """Global batches of a session that all ranks have begun."""
    lines = [(folder / f"log-{session}-{rank}").read_text().split("\n")[:-1] for rank in range(ranks)]
    steps = zip(*([json.loads(line) for line in of_rank] for of_rank in lines), strict=False)
    return [[parts[0][0], [row for _, ids in parts for row in ids]] for parts in steps]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("way", WAYS)
def test_cell(way: str, event: str, server: Server, tmp_path: Path) -> None:
    settings = {"ranks": 1, "accumulation": 1, "anneal": 0.0, **EVENTS[event]}
    stops, ranks = settings.pop("stops", []), settings["ranks"]
    batches, weights = reference(settings["accumulation"], settings["anneal"])
    for session, stop in enumerate([*stops, None]):
        _, code = server.run(tmp_path, "train", way=way, session=session, stop=stop, **settings)
        assert code == (0 if stop is None else -9)
        done = logged(tmp_path, session, ranks)
        begin = batches.index(done[0])
        assert done == batches[begin : begin + len(done)]
        assert bool(begin) == bool(session)  # a resumed one goes on
    assert begin + len(done) == len(batches)
    for rank in range(ranks):
        assert json.loads((tmp_path / f"weights-{rank}").read_text()) == pytest.approx(weights, rel=1e-4, abs=1e-6)
    if stops and ranks == 1:
        assert json.loads((tmp_path / "weights-0").read_text()) == weights
