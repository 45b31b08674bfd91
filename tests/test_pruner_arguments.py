"""What a pruner is built with: numbers of any library, kept as Python's own, so that its state can be saved."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emprune import ArgumentError, EpsilonGreedy, IdBatches, Pruner, checkpoint, get_policy
from emprune.policies import REGISTRY

PLAIN: dict[str, Any] = {"num_samples": 100, "prune_rate": 0.5, "num_epochs": 8}
SCALARS = {
    "numpy": lambda value: np.array([value])[0],
    "array": np.array,
    "tensor": lambda value: torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64),
}


def built(policy: Any = "random", **options: Any) -> Pruner:
    return Pruner(**{**PLAIN, "policy": policy, **options})


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_samples", 100), ("prune_rate", 0.25), ("num_epochs", 8), ("seed", 3), ("warmup_epochs", 1),
        ("anneal", 0.25), ("partition_batch_size", 10),
    ],
)  # fmt: skip
def test_scalars_of_other_libraries_are_python_s_numbers(name: str, value: float, scalar: str, tmp_path: Path) -> None:
    pruner, expected = built(**{name: SCALARS[scalar](value)}), built(**{name: value})
    assert json.dumps(pruner.fingerprint) == json.dumps(expected.fingerprint)
    assert pruner.kept == expected.kept
    assert all(type(count) is int for count in pruner.kept)
    checkpoint.save(pruner, tmp_path / "run.state")
    written = io.BytesIO()
    torch.save(pruner.state_dict(), written)
    written.seek(0)
    expected.load_state_dict(torch.load(written, weights_only=True))


@pytest.mark.parametrize(
    "rates", [np.linspace(0, 0.7, 8), torch.linspace(0, 0.7, 8, dtype=torch.float64), lambda e: np.float64(e / 10)]
)
def test_a_rate_for_each_epoch_may_be_an_array(rates: Any) -> None:
    pruner = built(prune_rate=rates)
    assert pruner.kept == (100, 90, 80, 70, 60, 50, 40, 30)
    json.dumps(pruner.fingerprint)


@pytest.mark.parametrize("scalar", SCALARS)
def test_settings_of_policies_likewise(scalar: str) -> None:
    of = SCALARS[scalar]
    policy = EpsilonGreedy(epsilon=of(0.25), alpha=of(0.5), period=of(2))
    assert policy.settings() == {"epsilon": 0.25, "alpha": 0.5, "period": 2}
    assert repr(policy) == "EpsilonGreedy(epsilon=0.25, alpha=0.5, period=2)"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_no_setting_that_is_a_number_takes_a_truth_value_or_a_text(name: str) -> None:
    needed = {"static-scores": {"scores": np.arange(9.0)}, "static-subset": {"ids": np.arange(9)}}.get(name, {})
    policy = get_policy(name, **needed)
    numbers = [key for key, value in vars(policy).items() if type(value) in (int, float)]
    for setting in numbers:
        for wrong in (True, "2", None):
            with pytest.raises(ArgumentError, match=f"^{setting} is {wrong!r}; allowed: an? "):
                get_policy(name, **{**needed, setting: wrong})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": True}, "num_samples is True; allowed: an integer of at least 1"),
        ({"num_samples": np.float64(100)}, "num_samples is 100.0; allowed: an integer"),
        ({"num_epochs": np.bool_(True)}, "num_epochs is True; allowed: an integer"),
        ({"seed": True}, "seed is True; allowed: an integer"),
        ({"seed": 1.0}, "seed is 1.0; allowed: an integer"),
        ({"seed": None}, "seed is None; allowed: an integer"),
        ({"warmup_epochs": True}, "warmup_epochs is True; allowed: an integer of at least 0"),
        ({"anneal": True}, "anneal is True; allowed: a number in"),
        ({"anneal": "0.1"}, "anneal is '0.1'; allowed: a number in"),
        ({"prune_rate": True}, "prune_rate is True; allowed: a number in"),
        ({"prune_rate": None}, "prune_rate is None; allowed: a number in"),
        ({"prune_rate": "0.5"}, "prune_rate is '0.5'; allowed: a number in"),
        ({"prune_rate": [True] * 8}, "prune_rate is True; allowed: a number in"),
        ({"prune_rate": np.zeros((8, 2))}, r"prune_rate is \[0.0, 0.0\]; allowed: a number in"),
        ({"prune_rate": np.zeros(7)}, "prune_rate is '7 rates'; allowed: one rate for each of 8 epochs"),
        ({"partition_batch_size": True}, "batch_size is True; allowed: an integer"),
    ],
)
def test_what_is_none_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        built(**options)


def test_batch_sizes_may_be_numpy_s_and_states_of_such_runs_are_saved(tmp_path: Path) -> None:
    pruner, size = built(), np.int64(10)
    assert pruner.total_steps(size) == built().total_steps(10)
    for ids in IdBatches(pruner, size):
        pruner.loss(ids, torch.ones(len(ids), requires_grad=True))
        break
    checkpoint.save(pruner, tmp_path / "run.state")
    again = built()
    checkpoint.restore(again, tmp_path / "run.state")
    assert sum(len(ids) for ids in IdBatches(again, size)) == 40


def test_a_data_set_in_the_place_of_its_length_is_told_apart() -> None:
    with pytest.raises(ArgumentError, match=r"num_samples is \[0.5, 0.25\].* Pruner\(len\(dataset\), ...\)"):
        built(num_samples=[0.5, 0.25])
