"""One run of a user's function: what it records, what it refuses, and that it goes on where it was left."""

import dataclasses
import math
import time

import numpy as np
import own_train
import pytest
import torch
from lab_runs import stop_after, without_times

from emprune.errors import ArgumentError, EmpruneError, EmpruneWarning
from emprune_lab.records.results import load_counts, load_result, load_samples
from emprune_lab.runs.interrupted import Interrupted
from emprune_lab.runs.own.measure import Measure
from emprune_lab.runs.own.run import TrainError, check_own, run
from emprune_lab.runs.own.watched import Clock
from emprune_lab.specs.own import OwnSpec
from emprune_lab.specs.spec import build_pruner

N, EPOCHS = own_train.N, own_train.EPOCHS


def spec_of(policy="emp-gated", rate=0.5, seed=0, **settings):
    return OwnSpec("own_train:train", policy, rate, seed, N, EPOCHS, **settings)


def test_a_run_is_recorded_like_every_other(tmp_path):
    told = []
    result = run(spec_of(), tmp_path, own_train.train, Measure(), on_progress=told.append, command="the command")
    assert result == load_result(tmp_path)
    assert (result.metric, result.higher_is_better, list(result.metrics)) == ("accuracy", True, ["accuracy", "loss"])
    assert result.accuracy == result.metrics["accuracy"] > 0.5
    steps = EPOCHS * math.ceil(0.5 * N / own_train.BATCH)
    assert (result.samples_backward, result.samples_forward, result.optimizer_steps) == (400, 400, steps)
    assert (result.realised_rate, result.num_samples, result.epochs) == (0.5, N, EPOCHS)
    assert (result.command, "beta" in result.policy_settings, result.remembered) == ("the command", True, None)
    assert {"emprune", "torch", "own_train.py"} <= result.versions.keys()
    assert [entry["kept"] for entry in result.history] == [100] * EPOCHS
    assert all(0 < entry["loss"] < 2 for entry in result.history)
    assert "gamma" in result.history[-1]
    assert load_counts(tmp_path).times_trained.sum() == 400
    assert (told[0].epochs, told[0].num_samples, told[0].total_steps, told[0].accuracy) == (EPOCHS, N, 400, None)


def test_the_same_run_repeats_and_another_seed_does_not(tmp_path):
    first, again, other = (
        run(spec_of(seed=seed), tmp_path / str(place), own_train.train, Measure())
        for place, seed in enumerate([0, 0, 1])
    )
    assert without_times(first) == without_times(again)
    assert first.metrics != other.metrics


def test_what_a_function_draws_follows_from_the_seed(tmp_path):
    drawn = []

    def train(pruner, seed):
        drawn.append((float(torch.rand(())), np.random.rand()))
        return own_train.train(pruner, seed)

    for place, seed in enumerate([3, 4, 3]):
        run(spec_of(seed=seed), tmp_path / str(place), train, Measure())
    assert drawn[0] == drawn[2] != drawn[1]


def test_seconds_are_those_of_the_loop_alone(tmp_path):
    def slow(pruner, seed):
        time.sleep(0.3)
        values = own_train.train(pruner, seed, note=lambda epoch: time.sleep(0.05))
        time.sleep(0.2)
        return values

    seconds = run(spec_of(), tmp_path, slow, Measure()).seconds
    # Asleep in each epoch after it has begun but for the first, whose clock starts with its first batch.
    assert seconds["train"] >= 0.05 * (EPOCHS - 1)
    assert seconds["evaluate"] >= 0.2
    assert seconds["total"] == pytest.approx(sum(seconds[kind] for kind in ("train", "select", "score", "evaluate")))
    assert load_result(tmp_path).history[0]["seconds"] > 0


def test_a_clock_goes_on_from_its_state():
    first = Clock()
    first.start()
    first.passed(torch.tensor([1.0, 3.0]))
    second = Clock(**first.state())
    assert second.seconds > 0
    second.passed(torch.tensor([5.0, 7.0]))
    assert second.mean_loss() == 4.0
    second.end_epoch(4, {"gamma": 1.0}, is_last=False)
    assert second.history[0].items() >= {"kept": 4, "loss": 4.0, "gamma": 1.0}.items()


def test_short_has_fewer_epochs_and_the_same_samples(tmp_path):
    result = run(spec_of("short", 0.625), tmp_path, own_train.train, Measure())
    assert (result.epochs, result.samples_backward, result.realised_rate) == (2, 300, 0.625)


def test_a_small_rest_of_short_is_left_out():
    """At 0.745 there are 1.02 epochs: in the rest a loader that drops last batches has none."""
    assert build_pruner(spec_of("short", 0.745), N).kept == (N,)
    assert build_pruner(spec_of("short", 0.70), N).kept == (N, 40)
    assert build_pruner(spec_of("short", 0.98), N).kept == (16,)


def test_a_finished_run_is_only_read_and_by_another_measure_if_asked(tmp_path):
    trained = run(spec_of(), tmp_path, own_train.train, Measure())
    read = run(spec_of(), tmp_path, None, Measure("loss", lower_is_better=True))
    assert (read.metric, read.accuracy, read.higher_is_better) == ("loss", trained.metrics["loss"], False)


def test_a_misspelt_metric_loses_no_run(tmp_path):
    with pytest.raises(ArgumentError, match=r"among those returned, accuracy, loss.* Did you mean 'accuracy'"):
        run(spec_of(), tmp_path, own_train.train, Measure("acuracy"))
    assert load_result(tmp_path).metric == "accuracy"


@pytest.mark.parametrize("returned", [None, "0.9", {}, {"confusion": [[1]]}, True, torch.ones(2)])
def test_what_is_no_number_is_refused(returned):
    with pytest.raises(ArgumentError, match="a number or a dict of numbers"):
        Measure().values(returned)


@pytest.mark.parametrize("returned", [0.25, np.float32(0.25), torch.tensor(0.25), torch.tensor([0.25]), np.array(0.25)])
def test_every_kind_of_number_will_do(returned):
    assert Measure().values(returned) == {"metric": 0.25}
    assert Measure("error").values(returned) == {"error": 0.25}


def test_a_diverged_run_is_an_error_unless_something_else_diverged():
    with pytest.raises(EmpruneError, match="loss of the trained model is nan"):
        Measure("loss").values({"accuracy": 0.5, "loss": math.nan})
    assert Measure().values({"accuracy": 0.5, "loss": math.nan}) == {"accuracy": 0.5}


def test_a_function_that_raises_is_told_with_its_own_lines(tmp_path):
    def broken(pruner, seed):
        raise KeyError("no such image")

    with pytest.raises(TrainError, match="no such image") as raised:
        run(spec_of(), tmp_path, broken, Measure())
    lines = str(raised.value)
    assert 'raise KeyError("no such image")' in lines
    assert "own/run.py" not in lines
    assert not (tmp_path / "result.json").exists()


def test_a_function_that_calls_exit_fails_its_run_alone(tmp_path):
    with pytest.raises(TrainError, match="SystemExit: 3"):
        run(spec_of(), tmp_path, lambda pruner, seed: exit(3), Measure())


def test_epochs_of_its_own_are_answered_with_what_to_write(tmp_path):
    run(spec_of("random"), tmp_path / "fits", own_train.fixed_epochs, Measure())
    with pytest.raises(TrainError, match=r"This run has 2 epochs.*for _ in pruner\.epochs\(\)"):
        run(spec_of("short"), tmp_path, own_train.fixed_epochs, Measure())


@pytest.mark.filterwarnings("ignore:epoch 0 ended with")
def test_a_function_that_leaves_early_is_refused(tmp_path):
    with pytest.raises(EmpruneError, match=r"returned in epoch 0 of 4.*unequal samples"):
        run(spec_of("random"), tmp_path, own_train.leaving_early, Measure())


def test_emp_goes_without_a_memory_term_and_warns_once(tmp_path):
    with pytest.warns(EmpruneWarning, match="no memory term was given") as warned:
        run(spec_of("emp"), tmp_path, own_train.without_memory, Measure())
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("kakurenbo", r"confidence is None.*pass confidence="),
        ("divbs", r"gradient_products is None.*pass gradient_products="),
    ],
)
def test_an_input_that_the_loop_does_not_give_is_named(tmp_path, policy, message):
    with pytest.raises(TrainError, match=message):
        run(spec_of(policy), tmp_path, own_train.train, Measure())


def test_a_score_of_the_laboratorys_own_data_is_refused_before_anything_is_trained():
    with pytest.raises(ArgumentError, match=r"el2n needs a scoring run.*static-scores:scores=FILE"):
        check_own([spec_of("full"), spec_of("el2n")])
    assert check_own([spec_of("random")]) == {spec_of("random").run_id: 400}


def test_asked_to_stop_it_stops_before_the_next_step(tmp_path):
    steps = []
    with pytest.raises(Interrupted):
        run(
            spec_of(), tmp_path, lambda pruner, seed: own_train.train(pruner, seed, note=steps.append), Measure(),
            should_stop=stop_after(9),
        )  # fmt: skip
    assert steps == [0, 1]


def test_a_run_goes_on_from_what_its_function_saved(tmp_path):
    """The state that was saved holds the clock too."""

    def interrupted(pruner, seed, folder):
        if (folder / "state.pt").exists():
            pruner.load_state_dict(torch.load(folder / "state.pt"))
        return own_train.train(pruner, seed, note=lambda epoch: torch.save(pruner.state_dict(), folder / "state.pt"))

    with pytest.raises(Interrupted):
        run(spec_of(), tmp_path, interrupted, Measure(), should_stop=stop_after(16))
    state = torch.load(tmp_path / "state" / "state.pt")
    assert (state["counters"]["epoch"], len(state["lab.clock"]["history"])) == (2, 2)
    result = run(spec_of(), tmp_path, interrupted, Measure())
    assert [entry["kept"] for entry in result.history] == [100] * EPOCHS
    assert result.history[:2] == state["lab.clock"]["history"]
    assert result.seconds["train"] > state["lab.clock"]["before"] - result.seconds["select"]
    assert load_counts(tmp_path).times_trained.sum() == result.samples_backward == 400


def test_ids_tell_runs_apart_and_are_names_of_folders():
    ids = {
        one.run_id
        for one in (
            spec_of(), spec_of(seed=1), spec_of(rate=0.6), spec_of("emp"), spec_of(anneal=0.5), spec_of(budget="run"),
            dataclasses.replace(spec_of(), epochs=5), dataclasses.replace(spec_of(), num_samples=100),
            dataclasses.replace(spec_of(), data="own_train:other"),
        )
    }  # fmt: skip
    assert len(ids) == 9
    assert all(not set(name) & set(":/ <>") for name in ids)
    assert sum(build_pruner(spec_of(), N).kept) == 400


def test_counts_alone_are_no_samples(tmp_path):
    run(spec_of("random"), tmp_path, own_train.train, Measure())
    with pytest.raises(EmpruneError, match=r"samples\.npz"):
        load_samples(tmp_path)
