"""A user's function whose model is on a device: no step waits for it, and seconds are measured until it is done."""

import time

import own_train
import pytest
import torch

from emprune import IdBatches
from emprune_lab.runs.own import watched
from emprune_lab.runs.own.measure import Measure
from emprune_lab.runs.own.run import run
from emprune_lab.specs.own import OwnSpec


def spec_of(policy="emp-gated", rate=0.5):
    return OwnSpec("own_train:train", policy, rate, 0, own_train.N, own_train.EPOCHS)


@pytest.mark.parametrize("policy", ["full", "short", "random", "emp-gated"])
def test_a_model_on_any_device(device, tmp_path, policy):
    result = run(spec_of(policy), tmp_path, lambda *a: own_train.train(*a, device=device), Measure())
    assert 0.4 < result.accuracy <= 1
    assert result.samples_backward == (800 if policy == "full" else 400)
    assert all(0 < entry["loss"] < 2 and entry["seconds"] > 0 for entry in result.history)
    assert ("cores" in result.device) == (device.type == "cpu")


def test_the_watch_makes_no_step_wait(accelerator, no_waiting, tmp_path, monkeypatch):
    """But for the first of an epoch and the moments at which it tells where the run stands."""
    told = []
    monkeypatch.setattr(watched, "_ON_A_DEVICE", 1e9)

    def train(pruner, seed):
        weight = torch.ones(own_train.N, device=accelerator, requires_grad=True)
        for epoch in pruner.epochs():
            for step, ids in enumerate(IdBatches(pruner, 20)):
                there = ids.to(accelerator)
                if step == 0 or epoch == 0:
                    pruner.loss(there, weight[there] ** 2).backward()
                    continue
                with no_waiting():
                    pruner.loss(there, weight[there] ** 2)
        return 0.5

    result = run(spec_of("random"), tmp_path, train, Measure(), on_progress=told.append)
    assert len(told) == 1
    assert [round(entry["loss"], 5) for entry in result.history] == [1.0] * own_train.EPOCHS


def test_seconds_end_when_the_device_is_done(accelerator, tmp_path, monkeypatch):
    """A device that is still at work for a while after each epoch."""
    waited = []

    def busy(device):
        waited.append(device.type)
        time.sleep(0.05)

    monkeypatch.setattr(watched, "synchronize", busy)
    result = run(spec_of("random"), tmp_path, lambda *a: own_train.train(*a, device=accelerator), Measure())
    assert waited == [accelerator.type] * own_train.EPOCHS
    assert result.seconds["train"] > 0.05 * own_train.EPOCHS - result.seconds["select"]
    assert min(entry["seconds"] for entry in result.history) > 0.05
