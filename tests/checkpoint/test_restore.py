"""Restoring into something else is an error before the first batch, unless it is allowed by name."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import play, step
from torch.utils.data import TensorDataset

from emprune import ArgumentError, IdBatches, InfoBatch, Pruner, StateError
from emprune.checkpoint import OVERRIDABLE, fingerprint_of, restore, save

SETTINGS: dict[str, Any] = {
    "num_samples": 60, "policy": "infobatch", "prune_rate": 0.5, "num_epochs": 5, "seed": 3, "warmup_epochs": 0,
    "anneal": 0.0, "budget": "epoch",
}  # fmt: skip
BATCH = 8  # 30 samples an epoch, 4 steps


def build(**changed: Any) -> Pruner:
    settings = {**SETTINGS, **changed}
    return Pruner(settings.pop("num_samples"), settings.pop("policy"), **settings)


def stopped(steps: int = 6, **changed: Any) -> Pruner:
    """A pruner after so many steps of a run, 6 of them: in the middle of epoch 1."""
    pruner = build(**changed)
    run = play(pruner, BATCH)
    for _ in range(steps):
        next(run)
    return pruner


@cache
def uninterrupted() -> list[tuple[int, list[int], list[float]]]:
    return list(play(build(), BATCH))


def contents(pruner: Pruner) -> dict[str, Any]:
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in pruner.state_dict().items()}


def assert_refused(
    path: Path, pruner: Pruner, *parts: str, error: type[Exception] = StateError, **options: Any
) -> None:
    """Raises, with all parts in its message, and leaves a running pruner as it was."""
    next(play(pruner, BATCH))
    before = contents(pruner)
    with pytest.raises(error) as caught:
        restore(pruner, path, **options)
    for part in parts:
        assert part in str(caught.value)
    assert contents(pruner) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_samples", 61), ("policy", "random"), ("prune_rate", 0.25), ("num_epochs", 6), ("seed", 4),
        ("warmup_epochs", 1), ("anneal", 0.2), ("budget", "run"),
    ],
)  # fmt: skip
def test_each_setting_that_differs_is_named_with_both_values(field: str, value: Any, tmp_path: Path) -> None:
    path = save(stopped(), tmp_path / "run.state")
    assert_refused(path, build(**{field: value}), f"{field} is {value!r} here", f"saved with {SETTINGS[field]!r}")


def test_a_setting_of_the_policy_is_named_too(tmp_path: Path) -> None:
    path, other = save(stopped(), tmp_path / "run.state"), InfoBatch(below_share=0.5)
    parts = f"policy_settings is {other.settings()!r} here", f"saved with {InfoBatch().settings()!r}"
    assert_refused(path, build(policy=other), *parts)


@pytest.mark.parametrize(("saved", "here"), [(8, 16), (8, None), (None, 8)])
def test_another_batch_size_is_named_where_it_was_given(saved: int | None, here: int | None, tmp_path: Path) -> None:
    path = save(stopped(), tmp_path / "run.state", batch_size=saved)
    parts = f"batch_size is {here} here, but the state was saved with {saved}.", "allow={'batch_size'}"
    assert_refused(path, build(), *parts, batch_size=here)
    restore(build(), path, batch_size=saved)


def test_another_batch_size_cuts_the_same_ids_where_it_is_allowed(tmp_path: Path) -> None:
    path, pruner = save(stopped(), tmp_path / "run.state", batch_size=BATCH), build()
    restore(pruner, path, batch_size=BATCH)
    assert sum(len(ids) for ids in IdBatches(pruner, 5)) == 30 - 2 * BATCH
    restore(pruner, path, batch_size=5, allow="batch_size")
    rest = [i for epoch, ids, _ in uninterrupted()[6:] if epoch == 1 for i in ids]
    run = play(pruner, 5)
    assert next(run)[1] + next(run)[1] == rest[:10]
    again = build()
    restore(again, save(pruner, path, batch_size=5), batch_size=5)  # killed once more: the new size is the run's
    assert [i for epoch, ids, _ in play(again, 5) if epoch == 1 for i in ids] == rest[10:] != []


def data_sets() -> dict[str, TensorDataset]:
    data = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    return {
        "same": TensorDataset(data.clone()), "shrunk": TensorDataset(data[:-1]),
        "reordered": TensorDataset(data[order]), "grown": TensorDataset(torch.cat([data, data[:1]])),
        "made anew": TensorDataset(data * 1.0001),
    }  # fmt: skip


@pytest.mark.parametrize("change", ["shrunk", "grown", "reordered", "made anew"])
def test_another_data_set_is_an_error_before_the_first_batch(change: str, tmp_path: Path) -> None:
    data, other = data_sets()["same"], data_sets()[change]
    here, saved, lengths = fingerprint_of(other), fingerprint_of(data), {"num_samples": len(other)}
    path = save(stopped(), tmp_path / "run.state", dataset_fingerprint=saved)
    parts = f"dataset_fingerprint is {here!r} here", f"saved with {saved!r}", "allow={'dataset_fingerprint'}"
    if change == "grown":
        parts = "num_samples is 61 here, but the state was saved with 60", "allow={'num_samples'}"
    elif change == "shrunk":
        parts = ("num_samples is 59 here, but the state was saved with 60; a data set may grow",)
        assert_refused(path, build(**lengths), *parts, allow={"num_samples"})
    else:
        assert_refused(path, build(), *parts, dataset_fingerprint=here, allow={"num_samples"})
        assert_refused(path, build(), "dataset_fingerprint is None here", saved)
    for allow in ({}, {"dataset_fingerprint"}) if len(other) != 60 else ({},):
        assert_refused(path, build(**lengths), *parts, dataset_fingerprint=here, allow=allow)
    restore(build(), path, dataset_fingerprint=fingerprint_of(data_sets()["same"]))
    restore(build(), path, dataset_fingerprint="the same, stored anew", allow={"dataset_fingerprint"})


@pytest.mark.parametrize("field", ["policy", "schema_version", "speed"])
def test_what_cannot_be_overridden_is_said(field: str, tmp_path: Path) -> None:
    path = save(stopped(), tmp_path / "run.state")
    part = f"allow is {field!r}; allowed: fields among anneal, batch_size, budget"
    for allow in ({field, "seed"}, field):
        assert_refused(path, build(), part, error=ArgumentError, allow=allow)


OVERRIDES: dict[str, dict[str, Any]] = {
    "prune_rate": {"prune_rate": 0.8}, "seed": {"seed": 9}, "num_epochs": {"num_epochs": 7}, "anneal": {"anneal": 0.4},
    "warmup_epochs": {"warmup_epochs": 3}, "policy_settings": {"policy": InfoBatch(below_share=0.4)},
    "budget": {"budget": "run", "anneal": 0.2},
}  # fmt: skip


@pytest.mark.parametrize("field", OVERRIDES)
def test_an_override_holds_from_the_next_epoch_on(field: str, tmp_path: Path) -> None:
    """The running epoch keeps its plan; what follows is what the new settings make of the same scores."""
    path = save(stopped(), tmp_path / "run.state")
    pruner, allow = build(**OVERRIDES[field]), {field, *(set(OVERRIDES[field]) - {"policy"})}
    restore(pruner, path, allow=allow)
    rest = list(play(pruner, BATCH))
    assert [row for row in rest if row[0] == 1] == [row for row in uninterrupted()[6:] if row[0] == 1]
    later = build(**OVERRIDES[field])
    before = after_two_epochs().state_dict()
    later.load_state_dict({**before, "fingerprint": later.fingerprint, "schedule": scheduled(pruner.kept)})
    assert pruner.kept[:2] == (30, 30)
    assert pruner.kept[2:] == (KEPT_BY_BUDGET if field == "budget" else build(**OVERRIDES[field]).kept[2:])
    assert [row for row in rest if row[0] > 1] == list(play(later, BATCH))
    assert rest != uninterrupted()[6:]


KEPT_BY_BUDGET = (15, 15, 60)  # of 150 there are 30 left, beside the full epoch at the end


def scheduled(kept: tuple[int, ...]) -> dict[str, list[int]]:
    return {"kept": list(kept), "num_samples": [60] * len(kept)}


def after_two_epochs() -> Pruner:
    pruner = build()
    for _ in range(2):
        for ids in IdBatches(pruner, BATCH):
            step(pruner, ids)
        pruner.end_epoch()
    return pruner


def test_every_overridable_field_is_tried_here() -> None:
    elsewhere = {"batch_size", "dataset_fingerprint", "num_samples", "sample_weight", "quotas", "order"}
    assert {*OVERRIDES, *elsewhere} == OVERRIDABLE


def test_a_run_with_an_override_can_be_killed_too(tmp_path: Path) -> None:
    path = save(stopped(), tmp_path / "run.state")
    whole, first, second = (build(prune_rate=0.8) for _ in range(3))
    restore(whole, path, allow={"prune_rate"})
    expected = list(play(whole, BATCH))
    restore(first, path, allow={"prune_rate"})
    run = play(first, BATCH)
    done = [next(run)]
    restore(second, save(first, path))  # in the same epoch, and by the settings of its own pruner
    assert done + list(play(second, BATCH)) == expected


def test_fewer_epochs_than_were_begun_are_refused(tmp_path: Path) -> None:
    path = save(stopped(), tmp_path / "run.state")
    part = "num_epochs is 1 here, but the state needs at least 2"
    assert_refused(path, build(num_epochs=1), part, allow={"num_epochs"})
    pruner = build(num_epochs=2)
    restore(pruner, path, allow={"num_epochs"})
    assert [epoch for epoch, *_ in play(pruner, BATCH)] == [1, 1]


def test_an_in_batch_policy_changes_between_epochs_only(tmp_path: Path) -> None:
    batch_policy = {"policy": "selective-backprop"}
    path = save(stopped(10, **batch_policy), tmp_path / "run.state")
    other = build(**batch_policy, prune_rate=0.25)
    part = "prune_rate cannot change in mid-epoch for the in-batch policy 'selective-backprop'"
    assert_refused(path, other, part, allow={"prune_rate"})
    restore(build(**batch_policy), path, allow={"prune_rate"})
    ended = stopped(8, **batch_policy)
    ended.end_epoch()
    pruner = build(**batch_policy, prune_rate=0.25)
    restore(pruner, save(ended, path), allow={"prune_rate"})
    before = pruner.report().samples_backward
    list(play(pruner, BATCH))
    assert pruner.report().samples_backward - before == 4 * 45


def test_global_generators_are_left_alone(tmp_path: Path) -> None:
    class Augmented(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 60

        def __getitem__(self, index: int) -> list[float]:
            return [random.random(), np.random.random(), torch.rand(()).item()]

    def states() -> tuple[Any, ...]:
        kind, keys, *rest = np.random.get_state()
        return random.getstate(), (kind, keys.tolist(), *rest), torch.get_rng_state().tolist()

    before = states()
    print_of = fingerprint_of(Augmented())
    path = save(stopped(), tmp_path / "run.state", dataset_fingerprint=print_of)
    restore(build(), path, dataset_fingerprint=fingerprint_of(Augmented()))
    assert states() == before
