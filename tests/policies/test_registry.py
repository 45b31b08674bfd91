"""What holds for every built-in policy: its rate, its state in mid-run, its settings, its place in the docs."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from cases import inputs_of, table_of
from states import EPOCHS, N, new_pruner, train

import emprune.policies
from emprune import EMP, ArgumentError, IdBatches, InfoBatch, Policy, Pruner, Request, get_policy
from emprune.policies import REGISTRY
from emprune.policies.registry import discovered

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


@pytest.mark.parametrize("name", EVERY)
def test_losses_below_zero_are_ranked_as_those_above_are(name):
    """The loss of a density has no zero of its own: what is added to all of them changes no plan."""

    def trained_with(added):
        pruner = new_pruner(name)
        for _ in pruner.epochs():
            for ids in IdBatches(pruner, 7):
                inputs = inputs_of(pruner, ids, pruner.epoch)
                pruner.loss(ids, **(inputs | {"loss": (ids * 37 % 64).float() - 64 + added}))
        return pruner.table.times_trained.tolist()

    assert trained_with(0) == trained_with(-128)


def test_emp_prefers_high_losses_below_zero_as_it_does_above():
    counts = np.zeros((2, N))
    for row, added in enumerate((0, -64)):
        for seed in range(200):
            loss = np.arange(N, dtype=np.float32) + added
            request = Request(table_of(loss), 6, 1, 5, seed)
            counts[row, EMP(gamma=1.0).select(request).ids] += 1
    assert np.array_equal(*counts)
    assert counts[0, N // 2 :].sum() > 2 * counts[0, : N // 2].sum()


def test_a_policy_is_added_by_one_file(tmp_path, monkeypatch):
    (tmp_path / "stalest_of_a_test.py").write_text(
        "from emprune import Policy\n\n"
        "class Stalest(Policy):\n"
        "    name = 'stalest-of-a-test'\n\n"
        "    def select(self, request):\n"
        "        return request.top(request.epoch - request.table.last_seen)\n"
    )
    monkeypatch.setattr(emprune.policies, "__path__", [*emprune.policies.__path__, str(tmp_path)])
    found = discovered("emprune.policies", emprune.policies.__path__)
    assert {**REGISTRY, "stalest-of-a-test": found["stalest-of-a-test"]} == found
    monkeypatch.setitem(REGISTRY, "stalest-of-a-test", found["stalest-of-a-test"])
    assert trained_each_epoch(new_pruner("stalest-of-a-test", prune_rate=0.7)) == [30 * N // 100] * EPOCHS


def test_a_policy_s_settings_are_its_arguments() -> None:
    assert get_policy("emp", beta=2.0, gamma=0.5, unseen="first").settings() == {
        "beta": 2.0, "rule": "sample", "gamma": 0.5, "unseen": "first",
    }  # fmt: skip
    assert repr(get_policy("infobatch", below_share=0.5)) == "InfoBatch(below_share=0.5, weight_sum='kept')"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: get_policy("el2n"), "policy is 'el2n'; allowed: one of full, static-random, random, rs2, lfl"),
        (lambda: Pruner(9, "nope", prune_rate=0.5, num_epochs=1), "policy is 'nope'; allowed: one of full, .*emp"),
        (lambda: Pruner(9, EMP, prune_rate=0.5, num_epochs=1), r"policy is <class .*EMP'>; .* Build it: EMP\(\)"),
        (lambda: get_policy("emp", alpha=1), "alpha is 1; allowed: settings of policy 'emp', beta, .*unseen"),
        (lambda: get_policy("emp", bta=1), r"bta is 1; .* Did you mean 'beta'\?"),
        (lambda: get_policy("full", bta=1), r"bta is 1; allowed: left out: policy 'full' has no settings"),
        (
            lambda: get_policy("static-subset"),
            r"ids is 'missing'; .*needs. Build it with them: StaticSubset\(ids=\.\.\.\)",
        ),
        (
            lambda: Pruner(9, "infobach", prune_rate=0.5, num_epochs=1),
            r"policy is 'infobach'.* Did you mean 'infobatch'\?",
        ),
        (lambda: Pruner(9, "EMP", prune_rate=0.5, num_epochs=1), r"policy is 'EMP'; .* Did you mean 'emp'\?"),
        (
            lambda: Pruner(9, "emp:beta=2:rule=top", prune_rate=0.5, num_epochs=1),
            r"Settings are arguments of its class: policy=EMP\(beta=2, rule='top'\)",
        ),
        (
            lambda: Pruner(9, None, prune_rate=0.5, num_epochs=1),
            "policy is None; allowed: a policy's name or an object",
        ),
        (lambda: EMP(beta="2"), "beta is '2'; allowed: a finite number"),
        (lambda: EMP(beta=True), "beta is True; allowed: a finite number"),
        (lambda: get_policy("ucb", period=True), "period is True; allowed: an integer of at least 1"),
        (lambda: get_policy("seta", groups=2.0), "groups is 2.0; allowed: an integer of at least 1"),
        (lambda: EMP(beta=-1), "beta is -1; allowed: a finite number of at least 0"),
        (lambda: EMP(beta=float("inf")), "beta is inf; allowed: a finite number"),
        (lambda: EMP(rule="bottom"), "rule is 'bottom'; allowed: one of top, sample, threshold"),
        (lambda: EMP(gamma=float("nan")), "gamma is nan; allowed: a finite number of at least 0"),
        (lambda: EMP(unseen="last"), "unseen is 'last'; allowed: 'first' or 'mean'"),
        (lambda: InfoBatch(below_share=0), r"below_share is 0; allowed: a number in \(0, 1\]"),
        (lambda: InfoBatch(weight_sum="half"), "weight_sum is 'half'; allowed: 'kept' or 'all'"),
    ],
)
def test_bad_policies_and_settings_are_named(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
