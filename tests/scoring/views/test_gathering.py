"""Two real gloo processes that gather negatives against one process that holds everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import naive_contrast as naive
import pytest
import torch
from views_at_work import OPTIONS, RANKS, SHARES, data, layers, new_model

from emprune.scoring import contrastive
from emprune.scoring.views.gathering import Ranks, gather, meet

Outcomes = list[dict[str, Any]]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What each rank wrote down."""
    folder = tmp_path_factory.mktemp("views")
    command = [sys.executable, str(Path(__file__).parents[2] / "helpers" / "views_at_work.py"), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(RANKS)]


def close(found: Any, expected: torch.Tensor) -> None:
    torch.testing.assert_close(torch.tensor(found), expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory", ["hidden", "projector", "alignment", "none"])
@pytest.mark.parametrize("shares", SHARES)
def test_values_and_gradients_are_those_of_one_process(ranks: Outcomes, memory: str, shares: str) -> None:
    first, second = (x.requires_grad_() for x in data(sum(SHARES[shares])))
    right = contrastive(first, second, memory=memory, hidden=layers(first, second), batch_size=9, **OPTIONS)
    right.loss.square().sum().backward()
    found = [rank[f"{shares}, {memory}"] for rank in ranks]
    assert tuple(len(rank["loss"]) for rank in found) == SHARES[shares]
    for name in ("loss", "memory"):
        close(list(chain(*(rank[name] for rank in found))), getattr(right, name).detach())
    close(list(chain(*(rank["slopes"] for rank in found))), torch.cat([first.grad, second.grad], dim=1))


@pytest.mark.parametrize("shares", SHARES)
def test_equations_of_views(ranks: Outcomes, shares: str) -> None:
    """Per view, rank by rank: this rank's first views, then its second ones."""
    sizes = SHARES[shares]
    losses, entropies = naive.views(*data(sum(sizes)), 0.5)[0], naive.views(*data(sum(sizes)), 0.1)[1]
    for rank, outcome in enumerate(ranks):
        for found, right in zip(outcome[shares], (losses, entropies), strict=True):
            both = [half.split(sizes)[rank] for half in right.chunk(2)]
            close(found, torch.cat(both))


def test_data_parallel_gradients_are_those_of_one_process(ranks: Outcomes) -> None:
    model = new_model()
    contrastive(*model(torch.cat(data(6))).chunk(2), memory="none").loss.mean().backward()
    right = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    for rank in ranks:
        close(list(chain(*rank["gathered"])), right)
        assert (torch.tensor(list(chain(*rank["apart"]))) - right).abs().max() > 1e-3  # negatives do matter


def test_every_rank_raises_the_error(ranks: Outcomes) -> None:
    for number, rank in enumerate(ranks):
        widths, usual, count = rank["errors"]
        assert f"features is 'of widths [3, {2 + number}] on rank {number}, and of others on other ranks'" in widths
        assert "batch_size is 7; allowed: the usual batch size, at least the 8 samples" in usual
        assert "features is 'of widths" in count


def test_a_group_of_one_is_this_process_alone(ranks: Outcomes) -> None:
    first, second = data(4)
    for rank in ranks:
        for found, right in zip(
            rank["groups of one"],
            contrastive(first, second, memory="hidden", hidden=layers(first, second)),
            strict=True,
        ):
            close(found, right)


def test_alone_nothing_is_gathered() -> None:
    first, _ = data(4)
    ranks = meet(None, first, [first.shape[1]])
    assert (ranks.total, ranks.before) == (4, 0)
    assert gather(first, ranks) is first


def test_samples_are_counted_by_rank() -> None:
    ranks = Ranks(None, (3, 1, 2), here=2)
    assert (ranks.total, ranks.before) == (6, 4)
