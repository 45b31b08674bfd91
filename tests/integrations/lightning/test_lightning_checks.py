"""What Lightning's arguments must not contradict; each is refused before the first step, with what to do."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
import torch
from lightning_runs import Module, N, new_pruner, new_trainer
from thread_world import on_all_ranks

from emprune import ArgumentError, EmpruneError, Pruner
from emprune.integrations.lightning.callback import _callback_class
from emprune.integrations.lightning.checks import check_release, join_ranks

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on workers, folders, callbacks
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # what Lightning itself calls
]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_epochs": 3}, "max_epochs is 3; allowed: 4, the pruner's num_epochs. A shorter run is"),
        ({"max_epochs": None}, "max_epochs is 1000; allowed: 4"),
        ({"max_epochs": -1}, "max_epochs is -1; allowed: 4"),
        ({"max_steps": 10}, "max_steps is 10; allowed: -1"),
        ({"limit_train_batches": 0.5}, r"limit_train_batches is 0\.5; allowed: 1\.0.*a higher prune_rate"),
        ({"limit_train_batches": 1}, r"limit_train_batches is 1; allowed: 1\.0"),
        ({"overfit_batches": 2}, "overfit_batches is 2; allowed: 0"),
        ({"val_check_interval": 5}, "val_check_interval is 5; allowed: at most 4, the batches of the shortest epoch"),
    ],
)
def test_arguments(changed: dict[str, Any], message: str) -> None:
    module = Module()
    with pytest.raises(ArgumentError, match=message):
        new_trainer(**changed).fit(module)
    assert not module.trained


def test_policies_that_ask_for_more_than_steps() -> None:
    with pytest.raises(ArgumentError, match="policy is 'kakurenbo'"):
        new_trainer(pruner=Pruner(N, "kakurenbo", prune_rate=0.5, num_epochs=4)).fit(Module())


@pytest.mark.parametrize(("policy", "rate"), [("infobatch-published", 0.5), ("emp", "auto")])
def test_epochs_whose_sizes_depend_on_scores(policy: str, rate: Any) -> None:
    """They train; only their number of updates cannot be known beforehand."""
    pruner = Pruner(N, policy, prune_rate=rate, num_epochs=4)
    with pytest.raises(ArgumentError, match="to know the steps beforehand"):
        new_trainer(pruner=pruner).fit(Module())

    class Unscheduled(Module):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05)

    module = Unscheduled()
    new_trainer(pruner=pruner).fit(module)
    assert pruner.epoch == 4
    if rate == "auto":
        assert pruner.report().samples_backward == sum(pruner.kept)


def test_another_release() -> None:
    trainer = new_trainer()
    del trainer.fit_loop._data_fetcher
    with pytest.raises(EmpruneError, match=r"has no fit_loop\._data_fetcher, which pruning needs"):
        check_release(trainer)


@pytest.mark.parametrize("imported", ["lightning.pytorch", "pytorch_lightning"])
def test_the_package_that_is_imported_is_taken(imported: str, monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module(imported)
    for other in {"lightning.pytorch", "pytorch_lightning"} - {imported}:
        monkeypatch.delitem(sys.modules, other, raising=False)
    assert _callback_class().__module__.startswith(imported)


def test_without_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmpruneError, match=r"pip install 'lightning>=2"):
        _callback_class()


class Ranks:
    """A trainer, as far as it is asked for ranks."""

    def __init__(self, ranks: int) -> None:
        self.distributed_sampler_kwargs = {"num_replicas": ranks, "rank": 0} if ranks > 1 else None


def test_ranks_that_are_not_the_pruner_s() -> None:
    pruner = new_pruner()
    join_ranks(Ranks(1), pruner)
    with pytest.raises(ArgumentError, match=r"built for 1 rank\(s\)'; allowed: one for the 2 rank"):
        join_ranks(Ranks(2), pruner)


def test_partitioned_tables() -> None:
    def of_rank(world: Any) -> None:
        join_ranks(Ranks(2), new_pruner(world=world, partition_batch_size=2))

    for error in on_all_ranks(of_rank, size=2):
        with pytest.raises(ArgumentError, match="A checkpoint of Lightning holds one state"):
            raise error
