"""What the lab's loop does for policies that need more than a plan: parts of a batch, hidden samples, a scoring run."""

import dataclasses

import numpy as np
import pytest
import torch

from emprune import DivBS
from emprune.errors import ArgumentError
from emprune_lab.runs import runner
from emprune_lab.runs.runner import CHECKPOINT_FILE, Interrupted, run, training_data
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec
from emprune_lab.subsets.static import LABELS
from emprune_lab.tasks import recipe_for

RECIPE = recipe_for("digits").changed(epochs=4, train_size=300, batch_size=50, shift=1)


def spec(policy, rate=0.7, **changes):
    return RunSpec("digits", policy, rate, 0, RECIPE, **changes)


@pytest.mark.parametrize("policy", ["divbs", "selective-backprop"])
def test_an_in_batch_policy_forwards_the_batch_and_once_more_the_part(policy, tmp_path):
    result = run(spec(policy, anneal=0.25), tmp_path / "runs" / "a")
    assert result.samples_backward == 3 * 90 + 300
    assert result.samples_forward == 3 * (300 + 90) + 300  # the annealed epoch is forwarded once
    assert result.optimizer_steps == 4 * 6
    assert result.accuracy > 0.2


def test_the_part_of_a_batch_is_trained_like_a_batch_of_its_own():
    training = Training(spec("divbs"), training_data(spec("divbs")))
    ids = torch.arange(50)
    chosen = {}

    class Spy(DivBS):
        def select_within_batch(self, request):
            chosen["selection"] = super().select_within_batch(request)
            return chosen["selection"]

    training.pruner.policy = Spy()
    training.model.train()
    batch = training.task.plain_batch(ids)
    images, labels = batch.inputs, batch.labels
    training._backward_part(ids, batch)
    part = chosen["selection"].positions
    assert len(part) == 15
    gradients = [weight.grad.clone() for weight in training.model.parameters()]
    training.optimizer.zero_grad()
    torch.nn.functional.cross_entropy(training.model(images[part]), labels[part]).backward()
    for found, weight in zip(gradients, training.model.parameters(), strict=True):
        torch.testing.assert_close(found, weight.grad)


def test_kakurenbo_sees_what_it_hid_and_raises_the_learning_rate():
    longer = dataclasses.replace(spec("kakurenbo"), recipe=RECIPE.changed(epochs=12))
    training = Training(longer, training_data(longer))
    kept, fresh, factors = {}, {}, {}

    def after_step():
        pruner = training.pruner
        kept[pruner.epoch], factors[pruner.epoch] = len(pruner.plan), pruner.learning_rate_factor
        fresh.setdefault(pruner.epoch, int((pruner.table.last_seen == pruner.epoch - 1).sum()))

    training.epochs(after_step)
    assert min(kept.values()) < 260
    assert factors == {epoch: pytest.approx(300 / count) for epoch, count in kept.items()}
    assert all(fresh[epoch] == 300 for epoch in range(1, 12))
    report = training.pruner.report()
    assert report.samples_forward == 12 * 300
    assert report.samples_backward == sum(kept.values())
    assert training.seconds_scoring > 0


@pytest.mark.parametrize("policy", ["kakurenbo", "infobatch-published", "seta-published"])
def test_a_run_of_unknown_length_goes_through_the_whole_cycle_and_resumes(policy, tmp_path):
    whole = run(spec(policy), tmp_path / "runs" / "whole")
    assert whole.optimizer_steps <= 4 * 6
    asked = iter(range(10**6))
    with pytest.raises(Interrupted):
        run(spec(policy), tmp_path / "runs" / "parts", should_stop=lambda: next(asked) >= 3)
    parts = run(spec(policy), tmp_path / "runs" / "parts")
    assert (parts.accuracy, parts.samples_backward) == (whole.accuracy, whole.samples_backward)
    training = Training(spec(policy), training_data(spec(policy)))
    rates = []
    training.epochs(lambda: rates.append(training.optimizer.param_groups[0]["lr"]))
    assert max(rates) > 0.7 * RECIPE.max_lr
    assert rates[-1] < 0.01 * RECIPE.max_lr


@pytest.mark.parametrize("label", [*LABELS, "ccs:scores=el2n:cutoff=0.1", "moderate"])
def test_every_static_label_runs_on_its_fixed_subset(label, tmp_path):
    result = run(spec(label), tmp_path / "runs" / label)
    assert result.samples_backward == 4 * 90
    assert result.samples_backward_scoring >= 2 * 300
    assert result.samples_forward > 4 * 90 + 2 * 300
    assert result.seconds["score"] > 0
    counts = np.load(tmp_path / "runs" / label / "samples.npz")["times_trained"]
    assert sorted(np.unique(counts)) == [0, 4]
    stored = sorted(file.name for file in (tmp_path / "scores").iterdir())
    again = run(spec(label), tmp_path / "runs" / "again")  # scores are read, not made again
    assert sorted(file.name for file in (tmp_path / "scores").iterdir()) == stored
    assert again.accuracy == result.accuracy
    assert again.seconds["score"] == result.seconds["score"]


def test_an_interrupted_scoring_run_begins_anew(tmp_path):
    asked = iter(range(10**6))
    with pytest.raises(Interrupted):
        run(spec("el2n"), tmp_path / "runs" / "a", should_stop=lambda: next(asked) >= 3)
    assert not (tmp_path / "runs" / "a" / CHECKPOINT_FILE).exists()
    interrupted = run(spec("el2n"), tmp_path / "runs" / "a")
    assert interrupted.accuracy == run(spec("el2n"), tmp_path / "other" / "runs" / "a").accuracy


def test_out_of_memory_names_the_batch_size(tmp_path, monkeypatch):
    class Full(Training):
        def epochs(self, after_step):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(runner, "Training", Full)
    with pytest.raises(ArgumentError, match=r"batch_size is 50; allowed: a smaller one: the memory of cpu"):
        run(spec("random"), tmp_path / "runs" / "a")


def test_more_classes_than_outputs_are_named():
    data = training_data(spec("random"))
    with pytest.raises(ArgumentError, match=r"model is 'with 4 outputs'; allowed: at least 10, the classes of digits"):
        Training(spec("random"), dataclasses.replace(data, class_names=data.class_names[:4]))
