"""A step on the CPU takes a short way; what must not notice it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from emprune import (
    BatchRequest,
    BatchSelection,
    EpochOrderError,
    IdBatches,
    InBatchPolicy,
    PlanSampler,
    Policy,
    PrunedLoader,
    Pruner,
    Request,
    Selection,
)
from emprune.errors import EmpruneError


def new(policy: Any = "random", **options: Any) -> Pruner:
    return Pruner(40, policy, prune_rate=0.5, num_epochs=2, **options)


def test_a_dry_run_in_inference_mode_leaves_training_as_it_was() -> None:
    size = 13  # of no other test: what is kept is kept by size
    with torch.inference_mode():
        dry = new()
        for ids in IdBatches(dry, size):
            dry.loss(ids, torch.rand(len(ids)))
    pruner = new()
    for ids in IdBatches(pruner, size):
        pruner.loss(ids, torch.rand(len(ids), requires_grad=True)).backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_weights_of_any_dtype(dtype: torch.dtype) -> None:
    class Doubled(InBatchPolicy):
        name = "doubled"

        def select_within_batch(self, request: BatchRequest) -> BatchSelection:
            return BatchSelection(torch.arange(request.k), torch.full((request.k,), 2.0, dtype=dtype))

    pruner = new(Doubled())
    ids = next(iter(IdBatches(pruner, 10)))
    assert pruner.loss(ids, torch.full((10,), 3.0, requires_grad=True)).item() == 6


def test_inside_a_function_transform() -> None:
    pruner, other = new(), new()
    ids = next(iter(IdBatches(pruner, 10)))
    next(iter(IdBatches(other, 10)))
    gradient = torch.func.grad(lambda scale: pruner.loss(ids, scale * torch.arange(10.0)))(torch.tensor(2.0))
    other.loss(ids, 2 * torch.arange(10.0).requires_grad_())
    assert gradient.item() == pytest.approx(4.5)
    pruner.report()
    other.report()
    np.testing.assert_array_equal(pruner.table.loss, other.table.loss)


class _Derived:
    """A collator around the loader's own that computes with ids, as one that looks up a teacher's outputs does."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, batch: Any) -> Any:
        ids, (inputs,) = self.inner(batch)
        return ids, {"odd": ids % 2 == 1, "half": ids.float() / 2, "column": ids.view(-1, 1), "none": ids[:0]}, inputs


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_collator_computes_of_ids(workers: int) -> None:
    loader = PrunedLoader(
        TensorDataset(torch.arange(40.0)), new(), batch_size=5, num_workers=workers, timeout=60 * workers
    )
    loader.collate_fn = _Derived(loader.collate_fn)
    for ids, found, inputs in loader:
        assert type(ids) is torch.Tensor
        assert ids.tolist() == inputs.tolist()
        assert found["odd"].dtype == torch.bool
        assert found["odd"].tolist() == [number % 2 == 1 for number in ids.tolist()]
        assert found["half"].tolist() == [number / 2 for number in ids.tolist()]
        assert found["column"].tolist() == [[number] for number in ids.tolist()]
        assert found["none"].tolist() == []
        break


def test_weights_that_are_no_numbers_are_the_policy_s_fault() -> None:
    class Spoilt(Policy):
        name = "spoilt"
        inputs: ClassVar[tuple[str, ...]] = ("loss",)

        def select(self, request: Request) -> Selection:
            weights = np.ones(request.k, dtype=np.float32)
            weights[3] = np.nan
            return Selection(np.arange(request.k), weights)

    with pytest.raises(EmpruneError, match="'spoilt' returned 1 weights that are no finite numbers"):
        len(new(Spoilt()).plan)


def test_a_sampler_kept_over_the_end_of_its_epoch_gives_no_more_ids() -> None:
    pruner = new()
    kept = iter(PlanSampler(pruner, 10))
    next(kept)
    for ids in IdBatches(pruner, 10):
        pruner.loss(ids, torch.rand(len(ids)))
    pruner.end_epoch()
    with pytest.raises(EpochOrderError):
        next(kept)


def test_ids_given_out_are_the_user_s_own() -> None:
    pruner = new()
    ids = pruner.rank_ids(10)
    ids[:10] = pruner.plan.pruned_ids[:10]
    with pytest.raises(EmpruneError):
        pruner.loss(torch.from_numpy(ids[:10].copy()), torch.rand(10))
