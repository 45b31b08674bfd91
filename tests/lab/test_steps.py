"""Ways to execute steps give the plain run: on a CPU, where nothing is compiled, to the last digit."""

import dataclasses
import functools

import pytest
import torch
from lab_runs import stop_after, without_times

from emprune_lab.records.results import load_samples
from emprune_lab.runs.runner import Interrupted, run
from emprune_lab.runs.steps import CapturedStep
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for, training_data
from emprune_lab.tasks.images.presets import ImageSettings

CNN = Recipe(model="cnn", epochs=3, batch_size=32, max_lr=0.05, train_size=300, task=ImageSettings(0.1, shift=1))
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")]),
]


def spec(policy="infobatch", **changes):
    return RunSpec("digits", policy, 0.5, 0, dataclasses.replace(CNN, **changes), anneal=0.3)


@pytest.fixture
def replayed(monkeypatch):
    """How many steps were executed on the captured step's tensors."""
    steps, execute = [], CapturedStep.__call__

    def counted(self, batch, weights):
        steps.append(None if weights is None else weights.tolist())
        return execute(self, batch, weights)

    monkeypatch.setattr(CapturedStep, "__call__", counted)
    return steps


@pytest.mark.parametrize("policy", ["emp", "infobatch", "kakurenbo"])
def test_a_captured_step_trains_as_the_plain_one_also_when_resumed(policy, replayed, tmp_path):
    plain = without_times(run(spec(policy), tmp_path / "plain"))
    assert not replayed
    for count in (2, 1):  # in mid-epoch, and after an epoch's last step; it has 5, the last of them smaller
        with pytest.raises(Interrupted):
            run(spec(policy), tmp_path / "graph", mode="graph", should_stop=stop_after(count))
    result = run(spec(policy), tmp_path / "graph", mode="graph")
    assert result.device.endswith(", graph")
    assert without_times(result) == plain | {"device": result.device}
    full = 2 * (150 // 32) + 300 // 32
    assert len(replayed) == full if policy != "kakurenbo" else replayed
    assert any(weights and max(weights) > 1 for weights in replayed) == (policy == "infobatch")
    for name, values in dataclasses.asdict(load_samples(tmp_path / "plain")).items():
        assert (values == getattr(load_samples(tmp_path / "graph"), name)).all(), name


def test_in_batch_policies_are_not_captured(replayed, tmp_path):
    plain = run(spec("divbs"), tmp_path / "plain")
    result = run(spec("divbs"), tmp_path / "graph", mode="graph")
    assert without_times(result) == without_times(plain)
    assert not replayed


@pytest.mark.filterwarnings("ignore")  # the compiler's own, which differ between versions and machines
@pytest.mark.parametrize("mode", ["compile", "compile-graph"])
def test_a_compiled_run_is_the_plain_one_but_for_rounding(mode, monkeypatch, tmp_path):
    compiled_sizes = []

    def backend(graph, inputs):
        compiled_sizes.append(max(len(values) for values in inputs if values.ndim == 4 and values.shape[1] == 1))
        return graph

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    torch.compiler.reset()
    plain, result = run(spec(), tmp_path / "plain"), run(spec(), tmp_path / "other", mode=mode)
    torch.compiler.reset()
    assert compiled_sizes == [32]  # neither the smaller last batches nor the evaluation
    losses, expected = ([epoch["loss"] for epoch in one.history] for one in (result, plain))
    assert losses == pytest.approx(expected, rel=1e-4)
    assert [result.samples_backward, result.optimizer_steps] == [plain.samples_backward, plain.optimizer_steps]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["plain", "compile", "graph", "compile-graph"])
def test_each_mode_learns_alike(device, mode, monkeypatch):
    """On CUDA for real; on a CPU the compiler's own work is left out."""
    if device == "cpu":
        monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch.compiler.reset()
    losses = []
    for one in ("plain", mode):
        training = Training(spec("emp", epochs=5), training_data(spec()), device, mode=one)
        training.epochs(lambda: None)
        losses.append([epoch["loss"] for epoch in training.history])
    torch.compiler.reset()
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[0][-1] < 0.7 * losses[0][0]


def test_the_mode_is_no_part_of_a_run_s_identity(tmp_path):
    first = run(spec(), tmp_path, mode="graph")
    assert run(spec(), tmp_path) == first


def test_tasks_whose_batches_differ_run_as_they_come(replayed, tmp_path):
    text = tmp_path / "made.txt"
    text.write_text("the sea and the sun of the man. " * 40)
    recipe = recipe_for("text").changed(model="gpt-1x32", vocabulary="characters", window=12, epochs=1)
    run(RunSpec("text", "emp", 0.5, 0, recipe, data_dir=str(text)), tmp_path / "out", mode="graph")
    assert not replayed
