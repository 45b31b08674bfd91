"""A run that was killed goes on with the very ids and weights, in the very order, of one that was not."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import play
from kill_run import BATCH, EPOCHS, N, Server, logged, new_pruner

from emprune.checkpoint import restore

STEPS = 8  # an epoch: 60 of 120 samples are kept, in batches of 8


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def uninterrupted(server: Server, folder: Path, **settings: Any) -> list[dict[str, Any]]:
    """The steps of a run that nothing disturbs; its epochs are shuffled, and unlike."""
    folder.mkdir()
    count, code = server.run(folder, save_every=10**6, **settings)
    rows = logged(folder, 0)
    epochs = [[i for row in rows if row["epoch"] == e for i in row["ids"]] for e in range(rows[-1]["epoch"] + 1)]
    assert (code, count) == (0, STEPS * len(epochs)) == (0, len(rows))
    assert len({tuple(ids) for ids in epochs}) == len(epochs)
    assert all(len(set(ids)) == N // 2 and ids != sorted(ids) for ids in epochs)
    if settings["policy"] == "infobatch":
        assert len({weight for row in rows for weight in row["weights"]}) > 1
    return rows


@pytest.mark.parametrize(("workers", "policy"), [(0, "infobatch"), (2, "emp")])
def test_kills_at_random_moments(workers: int, policy: str, server: Server, tmp_path: Path) -> None:
    """25 for each way of loading; a session that finishes the run makes room for another run."""
    rng, kills, late = random.Random(workers), 0, 0
    for run in itertools.count():
        settings = {"policy": policy, "seed": run, "epochs": 12}
        whole, folder = tmp_path / f"whole-{run}", tmp_path / f"killed-{run}"
        expected, reached, code = uninterrupted(server, whole, **settings), 0, -9
        folder.mkdir()
        for session in itertools.count():
            after, delay = rng.randrange(12) if kills < 25 else None, rng.uniform(0, 0.02)
            _, code = server.run(
                folder,
                after=after,
                delay=delay,
                session=session,
                workers=workers,
                save_every=3,
                **settings,
            )
            rows = logged(folder, session)
            if rows:
                first, last = rows[0]["step"], rows[-1]["step"]
                assert rows == expected[first : last + 1]
                assert reached - 3 <= first <= reached
                reached = max(reached, last + 1)
            if code == 0:
                break
            assert code == -9
            kills, late = kills + 1, late + (reached > STEPS)
        assert reached == len(expected)
        assert (folder / "model").read_text() == (whole / "model").read_text()
        if kills >= 25:
            break
    assert late > 15  # of them, so many in an epoch whose plan depends on scores


@pytest.mark.parametrize("workers", [[0], [2, 0, 1]], ids=["no workers", "workers changed each time"])
def test_kills_at_every_kind_of_moment(workers: list[int], server: Server, tmp_path: Path) -> None:
    """Between epochs, before an epoch's first batch, in mid-epoch again and again, at its last batch."""
    expected = uninterrupted(server, tmp_path / "whole", policy="infobatch")
    folder = tmp_path / "killed"
    folder.mkdir()
    stops = ["batch 0 of 0", "epoch 1", "batch 0 of 1", "step 11", "step 12", "step 15", "step 16", "epoch 2"]
    stops += ["batch 0 of 2", "step 23", "step 24", "step 33", "step 40", "epoch 5", "step 48"]
    for session, (stop, number) in enumerate(zip([*stops, None], itertools.cycle(workers), strict=False)):
        _, code = server.run(folder, session=session, workers=number, save_every=10**6, stop=stop, policy="infobatch")
        assert code == (0 if stop is None else -9), stop
    sessions = [logged(folder, session) for session in range(len(stops) + 1)]
    assert [len(rows) for rows in sessions] == [0, 8, 0, 3, 1, 3, 1, 0, 0, 7, 1, 9, 7, 0, 8, 0]
    assert [row for rows in sessions for row in rows] == expected
    assert (folder / "model").read_text() == (tmp_path / "whole" / "model").read_text()


@pytest.mark.parametrize("rate", [{"rate": "auto"}, {"target": 0.6}], ids=["auto", "target"])
def test_a_killed_run_whose_rate_follows_the_scores_keeps_as_many(
    rate: dict[str, Any], server: Server, tmp_path: Path
) -> None:
    """Killed before, within and between epochs, by its own hand and in mid-step, saved every third step."""
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    folder.mkdir(), whole.mkdir()
    settings = {"policy": "lfl", "falling": True, **rate}
    assert server.run(whole, save_every=10**6, **settings)[1] == 0
    expected = logged(whole, 0)
    kept = [sum(len(row["ids"]) for row in rows) for _, rows in itertools.groupby(expected, lambda row: row["epoch"])]
    assert len(kept) == EPOCHS
    assert len(set(kept)) > 2
    if "target" in rate:
        assert sum(kept) == round(0.4 * N * EPOCHS)
    reached = 0
    stops: list[Any] = ["batch 0 of 1", 4, "epoch 2", 7, "batch 0 of 2", 2, "epoch 4", None]
    for session, stop in enumerate(stops):
        how = {"after": stop} if isinstance(stop, int) else {"stop": stop}
        _, code = server.run(folder, session=session, save_every=3, **how, **settings)
        assert code == (0 if stop is None else -9), stop
        if rows := logged(folder, session):
            first, last = rows[0]["step"], rows[-1]["step"]
            assert rows == expected[first : last + 1]
            assert reached - 3 <= first <= reached
            reached = max(reached, last + 1)
    assert reached == len(expected)
    assert (folder / "model").read_text() == (whole / "model").read_text()


@pytest.mark.parametrize("persistent", [False, True])
def test_a_worker_dies_and_the_loop_is_run_again(persistent: bool, server: Server, tmp_path: Path) -> None:
    whole = [list(row) for row in play(new_pruner(), BATCH)]
    earlier = {i for _, ids, _ in whole[: STEPS + 3] for i in ids}
    fatal = next(i for _, ids, _ in whole[STEPS + 3 :] for i in ids if i not in earlier)
    _, code = server.run(tmp_path, "outlive a worker", fatal=fatal, persistent=persistent)
    assert code == 0
    result = json.loads((tmp_path / "result").read_text())
    assert re.search(r"worker .* exited unexpectedly", result["message"])
    assert result["before"] > STEPS
    assert result["rows"] == whole
    assert result["trained"] == EPOCHS * N // 2
    saved, before = new_pruner(), result["before"]
    restore(saved, tmp_path / "run.state")
    assert whole[:before] + [list(row) for row in play(saved, BATCH)] == whole
