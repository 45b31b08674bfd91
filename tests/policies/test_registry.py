"""What holds for every built-in policy: its rate, its state in mid-run, its settings, its place in the docs."""

import json

import pytest
import torch
from cases import inputs_of
from states import EPOCHS, N, new_pruner, train

from emprune import IdBatches, Policy
from emprune.policies import REGISTRY

EVERY = sorted(REGISTRY)


def observe_pruned(pruner):
    if pruner.policy.observes_pruned and len(pruner.plan.pruned_ids):
        ids = torch.from_numpy(pruner.plan.pruned_ids)
        pruner.observe(ids, **inputs_of(pruner, ids, pruner.epoch))


def trained_each_epoch(pruner):
    counts = []
    for _ in pruner.epochs():
        before = pruner.report().samples_backward
        for ids in IdBatches(pruner, 7):
            train(pruner, ids)
        counts.append(pruner.report().samples_backward - before)
        observe_pruned(pruner)
    return counts


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("name", EVERY)
def test_the_rate_is_exact_or_said_not_to_be(name, rate):
    pruner = new_pruner(name, prune_rate=rate)
    policy, k = pruner.policy, pruner.kept[0]
    counts = trained_each_epoch(pruner)
    if name == "full":
        assert counts == [N] * EPOCHS
    elif policy.epoch_size(N, k) is None and rate > 0:
        assert name in {"infobatch-published", "kakurenbo", "seta-published"}
        assert all(1 <= count <= N for count in counts)
    else:
        assert counts == [k] * EPOCHS


@pytest.mark.parametrize("name", EVERY)
def test_a_run_stopped_in_mid_epoch_goes_on_as_it_would_have(name):
    whole, first = new_pruner(name), new_pruner(name)
    reference = [ids.tolist() for _ in whole.epochs() for ids in whole_epoch(whole)]
    done = []
    for epoch in first.epochs():
        batches = IdBatches(first, 7)
        for ids in batches:
            train(first, ids)
            done.append(ids.tolist())
            if epoch == 2:
                break
        if epoch == 2:
            break
        observe_pruned(first)
    second = new_pruner(name)
    second.load_state_dict(first.state_dict())
    done += [ids.tolist() for _ in second.epochs() for ids in whole_epoch(second)]
    assert [i for ids in done for i in ids] == [i for ids in reference for i in ids]
    for column, values in whole.table.state_dict().items():
        torch.testing.assert_close(second.table.state_dict()[column], values, equal_nan=True)


def whole_epoch(pruner):
    for ids in IdBatches(pruner, 7):
        train(pruner, ids)
        yield ids
    observe_pruned(pruner)


@pytest.mark.parametrize("name", EVERY)
def test_settings_are_json_and_the_docstring_and_source_are_there(name):
    policy = new_pruner(name).policy
    json.dumps(policy.settings(), default=lambda value: value.tolist())
    assert policy.name == name
    assert policy.source not in ("", Policy.source)
    assert type(policy).__doc__.strip()
    assert policy.inputs[0] == "loss"
