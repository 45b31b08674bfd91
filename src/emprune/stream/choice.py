"""Which samples of a batch a policy chooses by their fresh values: in-batch policies, and policies of a score table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from emprune.epoch.observations import OnNonFinite, nonfinite
from emprune.epoch.plan import selected
from emprune.epoch.running import check_chosen
from emprune.errors import ArgumentError, NonFiniteError
from emprune.policies.base import BatchRequest, BatchSelection, InBatchPolicy, Policy, Request
from emprune.policies.registry import REGISTRY
from emprune.seeding import derive_seed, generator
from emprune.table import ScoreTable


def check_streams(policy: Policy) -> None:
    """Raise ArgumentError unless a policy can choose from the values of one batch alone."""
    if isinstance(policy, InBatchPolicy) or policy.streams:
        return
    able = ", ".join(name for name, kind in REGISTRY.items() if kind.streams or issubclass(kind, InBatchPolicy))
    hint = f"Policies that do: {able}."
    if policy.name == "full":
        hint = "prune_rate=0 trains all of every batch."
    elif policy.name == "emp-gated":
        hint = "Take 'emp', its score with an exponent that does not follow from epochs. " + hint
    elif policy.name not in REGISTRY:
        hint = "If its select goes by table.loss and table.memory alone, let its class say so: streams = True. " + hint
    raise ArgumentError(
        "policy", policy.name, "one that chooses by the loss and memory term of one batch, without epochs or ids", hint
    )


def choose(
    policy: Policy, inputs: Mapping[str, torch.Tensor], k: int, seed: int, batch: int, on_nonfinite: OnNonFinite
) -> BatchSelection:
    """k of a batch's B samples, in the batch's order unless an in-batch policy has another.

    An in-batch policy chooses on the loss's device. For any other the loss and memory term come to the host, and are
    the score table of an epoch of B samples, seen once; its weights add up to k or as its rule says.

    Args:
        inputs: detached; "loss" and "memory" floating point, shape [B], others as the policy reads them.
        k: from 0 to B.
        seed: of this rank.
        batch: how many came before; with the seed decides every random choice.

    Raises:
        NonFiniteError: a loss or memory term is NaN or infinite, and such are not quarantined; of tensors on a device
            and an in-batch policy that is not looked for, since it would wait for the device.
        EmpruneError: a policy's answer is not k distinct positions.
    """
    loss = inputs["loss"]
    size, in_batch = len(loss), isinstance(policy, InBatchPolicy)
    if not in_batch or loss.device.type == "cpu":
        columns = {name: inputs[name].float().cpu().numpy() for name in ("loss", "memory") if name in inputs}
        read = [name for name in columns if name in ("loss", *policy.inputs)]
        bad = nonfinite([columns[name] for name in read])
        if on_nonfinite == "error":
            _raise_nonfinite(bad, read, batch)
    if k == size or k == 0:
        return BatchSelection(torch.arange(k, device=loss.device))
    if isinstance(policy, InBatchPolicy):
        rng = generator(seed, batch, "batch of a stream")
        floats = {name: value.float() if name in ("loss", "memory") else value for name, value in inputs.items()}
        chosen = policy.select_within_batch(BatchRequest(floats, k, rng))
        check_chosen(policy, chosen, k, size)
        return chosen
    batch_seed, finite = derive_seed(seed, batch, "batch of a stream"), np.flatnonzero(~bad)
    if len(finite) <= k:  # what is not finite comes last, whatever the policy
        rest = np.flatnonzero(bad)[: k - len(finite)]
        return BatchSelection(torch.from_numpy(np.sort(np.concatenate([finite, rest]))).to(loss.device))
    found = _by_table(policy, {name: column[finite] for name, column in columns.items()}, k, batch_seed, loss.device)
    places = torch.from_numpy(finite).to(loss.device)
    return found if found.positions is None else BatchSelection(places[found.positions], found.weights)


def _by_table(
    policy: Policy, columns: Mapping[str, np.ndarray], k: int, seed: int, device: torch.device
) -> BatchSelection:
    size = len(columns["loss"])
    table = ScoreTable(size)
    everyone = np.arange(size, dtype=np.int64)
    table.record(everyone, columns["loss"], columns.get("memory"), 0, np.zeros(size, dtype=bool))
    selection = selected(policy, Request(table, k, 0, 1, seed))
    order = np.argsort(selection.ids)
    positions = torch.from_numpy(selection.ids[order]).to(device, non_blocking=True)
    if selection.weights is None:
        return BatchSelection(positions)
    return BatchSelection(positions, torch.from_numpy(selection.weights[order]).to(device, non_blocking=True))


def _raise_nonfinite(bad: np.ndarray, names: list[str], batch: int) -> None:
    if bad.any():
        shown = ", ".join(map(str, np.flatnonzero(bad)[:10].tolist()))
        raise NonFiniteError(
            f"{' or '.join(names)} is NaN or infinite for {int(bad.sum())} sample(s) of batch {batch}, positions "
            f"{shown}; allowed: finite values. Lower the learning rate or fix these samples, or build the pruner with "
            'on_nonfinite="quarantine", which takes them last.'
        )
