"""Models of text: what they see, how their windows are scored, what dropout draws."""

import math

import numpy as np
import pytest
import torch

from emprune.errors import ArgumentError
from emprune_lab.tasks.text import networks
from emprune_lab.tasks.text.corpus import split_text
from emprune_lab.tasks.text.objectives import hidden_token, next_token
from emprune_lab.tasks.text.task import PretrainingTask, WindowBatch
from emprune_lab.tasks.text.windows import text_data

TEXT = "".join(f"the {one} of the {other}.\n" for one in ("sea", "sun", "ship") for other in ("man", "moon")) * 20
DATA = text_data(split_text("t", TEXT, "test"), "characters", 12)
CPU = torch.device("cpu")


def task_of(name="gpt-1x32", seed=0, dropout=0.0, **options):
    objective = next_token(DATA) if name.startswith("gpt") else hidden_token(DATA, seed)
    model = networks.build(name, DATA.vocabulary_size, DATA.length, seed, dropout=dropout)
    return PretrainingTask(model, objective, seed, CPU, dropout=dropout > 0, **options)


@pytest.mark.parametrize("name", ["gpt-1x32", "bert-1x32"])
def test_weights_follow_from_the_seed_alone(name):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, again, other = (task_of(name, seed).model.state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_names_of_models():
    assert networks.size_of("bert-3x96") == ("bert", networks.Size(3, 96, 3))
    for wrong in ("gpt", "gpt-4", "gpt-0x32", "gpt-4x100", "lstm-4x128", "gpt-4x128x4", "gpt-²x32"):
        with pytest.raises(ArgumentError, match="model is"):
            networks.size_of(wrong)
    with pytest.raises(ArgumentError, match="dropout"):
        networks.build("gpt-1x32", 10, 8, 0, dropout=1.0)


def test_a_gpt_sees_only_what_came_before_and_a_bert_everything():
    tokens = DATA.windows[:1, :-1].clone()
    changed = tokens.clone()
    changed[0, 6] = (changed[0, 6] + 1) % DATA.mask
    for name, sees_ahead in (("gpt-2x32", False), ("bert-2x32", True)):
        model = task_of(name).model.eval()
        before, after = networks.logits_of(model)(tokens), networks.logits_of(model)(changed)
        differ = (before - after).abs().amax(2)[0] > 1e-6
        assert differ.tolist() == [sees_ahead] * 6 + [True] * 6, name


@pytest.mark.parametrize("name", ["gpt-1x32", "bert-1x32"])
def test_scores_are_means_over_the_predicted_tokens(name):
    task = task_of(name)
    batch = task.batch(torch.tensor([5, 2]), epoch=1, position=0)
    scores = task.forward(batch)
    logits = networks.logits_of(task.model)(batch.inputs).detach().double()
    for row in range(2):
        losses, entropies, right = [], [], []
        for at, label in enumerate(batch.labels[row].tolist()):
            if label >= 0:
                q = (logits[row, at].exp() / logits[row, at].exp().sum()).numpy()
                losses.append(-math.log(q[label]))
                entropies.append(-sum(q * np.log(q)))
                right.append(q.argmax() == label)
        assert scores.loss[row].item() == pytest.approx(np.mean(losses), rel=1e-5)
        assert scores.memory[row].item() == pytest.approx(np.mean(entropies), rel=1e-5)
        assert scores.right[row].item() == pytest.approx(np.mean(right))
    assert scores.loss.requires_grad
    assert not scores.memory.requires_grad
    certain = torch.where(batch.labels >= 0, logits.argmax(2), -100)
    assert task.forward(batch._replace(labels=certain)).right.tolist() == [1, 1]
    part = task.forward(task.part(batch, torch.tensor([1])))
    assert part.loss.item() == pytest.approx(scores.loss[1].item(), rel=1e-5)


def test_the_training_set_is_scored_in_order_and_without_dropout():
    task = task_of(dropout=0.5)
    task.model.train()
    found = task.evaluate_train()
    plain = task_of()
    for ids in ([0, 3], [len(DATA) - 1]):
        expected = plain.forward(plain.plain_batch(torch.tensor(ids)))
        np.testing.assert_allclose(found.loss[ids], expected.loss.detach(), rtol=1e-5)
        np.testing.assert_allclose(found.entropy[ids], expected.memory, rtol=1e-5)
        np.testing.assert_allclose(found.right[ids], expected.right)
    assert len(found.loss) == len(DATA) == task.num_samples
    assert not found.mislabelled.any()


def test_dropout_follows_from_seed_epoch_and_position():
    def loss(task, epoch, position):
        return task.forward(task.batch(torch.arange(4), epoch, position)).loss.detach()

    task = task_of(dropout=0.3)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = loss(task, 1, 4)
    assert torch.equal(torch.rand(1), expected)
    task.evaluate_test()
    assert torch.equal(loss(task, 1, 4), first)
    others = [loss(task, 1, 8), loss(task, 2, 4), loss(task_of(dropout=0.0), 1, 4)]
    task.forward(task.plain_batch(torch.arange(4)))
    assert not any(torch.equal(other, first) for other in others)


def test_scores_that_text_does_not_have_are_refused():
    task = task_of()
    batch = task.plain_batch(torch.arange(2))
    for name in ("confidence", "gradient_products"):
        with pytest.raises(ArgumentError, match="policy"):
            task.forward(batch, ("loss", name))


@pytest.mark.parametrize("name", ["gpt-1x32", "bert-1x32"])
def test_held_out_text_is_measured_whole_and_after_an_epoch_in_part(name):
    task = task_of(name)
    whole, part = task.evaluate_test()[task.metric], task.after_epoch()[task.metric]
    assert part == pytest.approx(whole, rel=0.1)
    assert part != whole
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.zero_()  # then all tokens are alike
    assert task.evaluate_test()[task.metric] == pytest.approx(math.log2(DATA.vocabulary_size))


def test_untied_to_the_mode_a_batch_without_seed_drops_nothing():
    task = task_of(dropout=0.5)
    batch = WindowBatch(*task.plain_batch(torch.arange(3)))
    task.model.train()
    first, again = (task.forward(batch).loss for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize(("name", "epochs", "bits"), [("gpt-1x32", 5, 1.5), ("bert-1x32", 15, 3.3)])
def test_a_text_that_repeats_is_learned(name, epochs, bits):
    task = task_of(name)
    before = task.evaluate_test()[task.metric]
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for ids in torch.arange(task.num_samples).split(8):
            task.forward(task.batch(ids, epoch, int(ids[0]))).loss.mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    # The letters' frequencies alone give 3.6 bits.
    assert task.evaluate_test()[task.metric] < bits < before


def test_masks_change_with_the_epoch_but_not_where_windows_are_only_scored():
    task = task_of("bert-1x32", seed=4)
    ids = torch.tensor([7, 1])
    first, again, later = (task.batch(ids, epoch, 0) for epoch in (0, 0, 1))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.labels, later.labels)
    assert torch.equal(task.plain_batch(ids).labels, task.plain_batch(ids).labels)
    truth = DATA.windows[ids, 1:]
    for batch in (first, later, task.plain_batch(ids)):
        assert torch.equal(torch.where(batch.labels >= 0, batch.labels, truth), truth)
