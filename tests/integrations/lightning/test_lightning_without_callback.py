"""A PrunedLoader in a trainer without the callback: nobody moves the epochs, or their lengths; neither is silent."""

from __future__ import annotations

from typing import Any

import pytest
from lightning_runs import BATCH, Module, Rows, new_pruner, new_trainer

from emprune import EmpruneError, EmpruneWarning, PrunedLoader

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # what Lightning itself calls


class ByHand(Module):
    """Ends its epochs itself, if it does."""

    def __init__(self, ends: bool) -> None:
        super().__init__()
        self.pruner, self.ends = new_pruner(), ends

    def train_dataloader(self) -> Any:
        return PrunedLoader(Rows(), self.pruner, BATCH)

    def on_train_epoch_end(self) -> None:
        if self.ends:
            self.pruner.end_epoch()


def fit(module: Module) -> None:
    trainer = new_trainer()
    trainer.callbacks = []
    trainer.fit(module)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_epochs_that_nobody_ends() -> None:
    with pytest.raises(EmpruneError, match=r"second round.*pruner\.end_epoch\(\) is missing"):
        fit(ByHand(ends=False))


def test_an_annealed_epoch_that_is_cut_to_the_first_one_s_length() -> None:
    with pytest.warns(EmpruneWarning, match="epoch 3 ended with 16 of its 64 planned samples trained"):
        fit(ByHand(ends=True))
