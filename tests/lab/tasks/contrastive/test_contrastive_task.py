"""SimCLR and MoCo v2 through the lab's runner, on the digits."""

import dataclasses

import numpy as np
import pytest
import torch
from lab_runs import stop_after, without_times

from emprune.errors import ArgumentError, DataError
from emprune_lab.records.results import load_samples
from emprune_lab.runs.compare import check
from emprune_lab.runs.runner import Interrupted, run
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import build_task, training_data
from emprune_lab.tasks.contrastive.methods import MoCo
from emprune_lab.tasks.contrastive.settings import MEMORIES, Contrastive
from emprune_lab.tasks.images.presets import ImageSettings

SIMCLR = Recipe(model="cnn", epochs=3, batch_size=64, max_lr=0.2, train_size=300, task=Contrastive(projection=16))
MOCO = dataclasses.replace(SIMCLR, task=Contrastive("moco", temperature=0.2, projection=16, queue=100))


def spec(policy="emp", recipe=SIMCLR, prune_rate=0.5, **changes):
    return RunSpec("digits", policy, 0.0 if policy == "full" else prune_rate, 0, recipe, **changes)


def training(*arguments, **options):
    asked = spec(*arguments, **options)
    return Training(asked, training_data(asked))


@pytest.mark.parametrize("recipe", [SIMCLR, MOCO], ids=["simclr", "moco"])
def test_stopped_and_resumed_equals_uninterrupted(recipe, tmp_path):
    torch.manual_seed(1)
    whole = run(spec(recipe=recipe), tmp_path / "whole")
    for count in (0, 2, 4):
        torch.manual_seed(count)  # the global generator must not matter
        with pytest.raises(Interrupted):
            run(spec(recipe=recipe), tmp_path / "parts", should_stop=stop_after(count))
    assert without_times(run(spec(recipe=recipe), tmp_path / "parts")) == without_times(whole)
    for name, values in dataclasses.asdict(load_samples(tmp_path / "whole")).items():
        np.testing.assert_array_equal(values, getattr(load_samples(tmp_path / "parts"), name))


def test_labels_are_read_from_what_was_learnt_without_them(tmp_path):
    result = run(spec("full", dataclasses.replace(SIMCLR, epochs=6, train_size=1000)), tmp_path)
    assert set(result.metrics) == {"knn", "linear probe", "linear probe, 10 % of labels"}
    assert result.metric == "knn"
    assert result.accuracy == result.metrics["knn"] > 0.7
    assert result.metrics["linear probe"] > 0.85
    assert result.remembered > 4 / 127  # by chance, less than 1 of 127
    assert all(0 < entry["memory"] < np.log(127) and 0 <= entry["retrieved"] <= 1 for entry in result.history)


@pytest.mark.parametrize("policy", ["full", "short", "random", "rs2", "lfl", "infobatch", "scan", "ucb"])
def test_policies_that_need_losses_alone(policy, tmp_path):
    result = run(spec(policy), tmp_path)
    assert result.samples_backward == (900 if policy == "full" else 450)
    assert 0.1 < result.accuracy <= 1


@pytest.mark.parametrize("recipe", [SIMCLR, MOCO], ids=["simclr", "moco"])
@pytest.mark.parametrize("memory", MEMORIES)
def test_memory_terms(memory, recipe):
    found = training(f"emp:memory={memory}:memory_temperature=0.3", recipe)
    batch = found.task.batch(torch.arange(20), 0, 0)
    loss, term = found.task.forward(batch)[:2]
    assert loss.requires_grad
    assert not term.requires_grad
    assert term.shape == (20,)
    assert (term == 0).all() if memory == "none" else (term > 0).all()
    if memory == "projector" and recipe is SIMCLR:
        views = torch.nn.functional.normalize(found.model.online(torch.cat(batch))[1])
        logits = (views @ views.T / 0.3).fill_diagonal_(-torch.inf)
        entropy = torch.special.entr(logits.softmax(1)).sum(1).view(2, 20).mean(0)
        torch.testing.assert_close(term - term.mean(), entropy - entropy.mean(), atol=1e-4, rtol=1e-4)


def test_memory_terms_differ():
    terms = []
    for memory in ("hidden", "stages", "projector", "alignment"):
        found = training(f"emp:memory={memory}")
        terms.append(found.task.forward(found.task.batch(torch.arange(20), 0, 0)).memory)
    for place, term in enumerate(terms):
        for other in terms[:place]:
            assert not torch.allclose(term, other, atol=1e-3)


@pytest.mark.parametrize("memory", ["alignment", "hidden"])
def test_all_policies_are_looked_at_by_the_recipe_s_term(memory):
    recipe = dataclasses.replace(SIMCLR, task=Contrastive(projection=16, memory=memory))
    looked = [training(policy, recipe).task for policy in ("random", "emp:memory=projector")]
    one, other = (task.evaluate_train().entropy for task in looked)
    np.testing.assert_array_equal(one, other)
    hidden = [looked[0].model.online.eval()(view)[0] for view in looked[0].plain_batch(torch.arange(64))]
    if memory == "alignment":
        expected = 1 - torch.nn.functional.cosine_similarity(*hidden)
        np.testing.assert_allclose(one[:64], expected.detach(), atol=1e-5)
    else:
        assert (one > 2).all()


def test_a_policy_without_memory_term_pays_for_none():
    found = training("random")
    assert found.model.settings.memory == "none"
    assert not any(module._forward_hooks for module in found.model.modules())
    assert (found.task.forward(found.task.batch(torch.arange(8), 0, 0)).memory == 0).all()


def test_the_loss_of_a_step_is_ntxent():
    found = training("lfl")
    batch = found.task.batch(torch.arange(64), 1, 0)
    loss = found.task.forward(batch).loss
    views = torch.nn.functional.normalize(found.model.online(torch.cat(batch))[1].double())
    expected = []
    for anchor in range(128):
        terms = [torch.exp(views[anchor] @ views[other] / 0.5) for other in range(128) if other != anchor]
        expected.append(torch.log(sum(terms)) - views[anchor] @ views[(anchor + 64) % 128] / 0.5)
    torch.testing.assert_close(loss.double(), torch.stack(expected).view(2, 64).mean(0), atol=1e-4, rtol=1e-4)


def test_the_copy_and_the_queue_move_with_training_steps_alone():
    found = training(recipe=MOCO)
    model = found.model
    assert isinstance(model, MoCo)
    batch = found.task.batch(torch.arange(32), 0, 0)
    before = {name: value.clone() for name, value in model.copy.named_parameters()}
    keys = model.queue.keys.clone()
    with torch.no_grad():
        for weight in model.online.parameters():
            weight += 1
        found.task.forward(batch)
    assert torch.equal(model.queue.keys, keys)
    found.task.forward(batch).loss.sum().backward()
    assert not torch.equal(model.queue.keys[:32], keys[:32])
    assert torch.equal(model.queue.keys[32:], keys[32:])
    for name, value in model.copy.named_parameters():
        torch.testing.assert_close(value, before[name] + 0.01, atol=1e-5, rtol=1e-4)
        assert value.grad is None


def test_views_follow_from_seed_epoch_and_position():
    task = training().task
    ids = torch.arange(10)
    same, again = task.batch(ids, 1, 20), task.batch(ids, 1, 20)
    assert torch.equal(same.first, again.first)
    assert torch.equal(same.second, again.second)
    assert not torch.equal(same.first, same.second)
    assert not torch.equal(same.first, task.batch(ids, 2, 20).first)
    assert not torch.equal(same.first, task.batch(ids, 1, 30).first)


def test_a_short_last_batch_scores_like_the_others():
    """Losses of a collapsed network are log of the candidates, hence 0.6 nats apart but for the lift."""
    found = training("emp", prune_rate=0.5)
    with torch.no_grad():
        for weight in found.model.online.projector[-1].parameters():
            weight.fill_(1.0)
    whole = found.task.forward(found.task.batch(torch.arange(64), 0, 0)).loss
    short = found.task.forward(found.task.batch(torch.arange(22), 0, 64)).loss
    torch.testing.assert_close(whole.mean(), torch.tensor(np.log(127), dtype=torch.float32))
    torch.testing.assert_close(short.mean(), whole.mean())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (spec("divbs"), "policy"),
        (spec("kakurenbo"), "policy"),
        (spec("emp:rate=auto"), "policy is 'emp:rate=auto'; allowed: one at a rate known beforehand"),
        (spec("emp:memory=depth"), "memory"),
        (spec("emp:memory_temperature=0"), "memory_temperature"),
        (spec("lfl:memory=hidden"), "memory"),
        (spec(recipe=dataclasses.replace(SIMCLR, train_size=258)), "batch_size"),
        (spec(label_noise=0.2), "label_noise"),
        (spec(recipe=dataclasses.replace(MOCO, task=Contrastive("moco", queue=40))), "queue"),
        (spec("emp:memory=hidden", recipe=dataclasses.replace(SIMCLR, task=ImageSettings())), "memory"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(asked, message):
    with pytest.raises(ArgumentError, match=message):
        check([asked])


@pytest.mark.parametrize(
    "setting",
    [
        {"method": "byol"}, {"memory": "depth"}, {"temperature": 0}, {"memory_temperature": float("inf")},
        {"projection": 1}, {"queue": 0}, {"queue": 1.5}, {"momentum": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range(setting):
    with pytest.raises(ArgumentError, match=next(iter(setting))):
        Contrastive(**setting)


@pytest.mark.parametrize("data", ["cola", "tinyshakespeare"])
def test_only_images_have_views(data):
    with pytest.raises((ArgumentError, DataError), match="preset"):
        training_data(dataclasses.replace(spec(), data=data))


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
def test_compiling_keeps_the_names_of_the_state():
    asked = spec(recipe=MOCO)
    data = training_data(asked)
    plain, compiled = (build_task(asked, data, torch.device("cpu"), compiled=flag) for flag in (False, True))
    assert plain.model.state_dict().keys() == compiled.model.state_dict().keys()
