"""A Lightning trainer with the callback trains the pruner's epochs, whatever else it is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler
from lightning.pytorch.tuner import Tuner
from lightning_runs import (
    BATCH,
    EPOCHS,
    QUIET,
    Module,
    N,
    Rows,
    lengths,
    new_pruner,
    new_trainer,
    pruner_of,
    weights_of,
)
from torch.utils.data import DataLoader, WeightedRandomSampler

from emprune import ArgumentError, EmpruneError, PrunedLoader, Pruner
from emprune.integrations.lightning import Pruning
from emprune.scoring import classification

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on workers, folders, callbacks
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # what Lightning itself calls
]
LENGTHS = {0: 16, 1: 16, 2: 16, 3: 64}


def fitted(*callbacks: Any, module: Any = None, pruner: Pruner | None = None, **changed: Any) -> tuple[Any, Any]:
    trainer, module = new_trainer(*callbacks, pruner=pruner, **changed), module or Module()
    trainer.fit(module)
    return module, trainer


@pytest.fixture(scope="module")
def plain() -> Module:
    """What a loop without Lightning trains."""
    pruner, module = new_pruner(), Module()
    loader = PrunedLoader(Rows(), pruner, BATCH)
    optimizer = torch.optim.SGD(module.parameters(), module.learning_rate, momentum=0.9)
    total = pruner.total_steps(BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, module.learning_rate, total_steps=total)
    for epoch in pruner.epochs():
        for ids, (features, labels) in loader:
            module.trained.append((epoch, ids.tolist()))
            pruner.loss(ids, *classification(module.net(features[:, 1:]), labels)).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    module.total = total
    return module


def same(module: Module, plain: Module) -> bool:
    return module.trained == plain.trained and weights_of(module) == weights_of(plain)


# ---- epochs


def test_trains_what_a_loop_trains(plain: Module) -> None:
    """Annealed epochs are whole, and the schedule has exactly as many steps as there are."""
    module, trainer = fitted()
    assert same(module, plain)
    assert lengths(module) == LENGTHS
    assert trainer.global_step == module.total == plain.total == 28
    assert pruner_of(trainer).epoch == EPOCHS
    assert type(trainer) is L.Trainer


@pytest.mark.parametrize("reload", [1, 3])
def test_loaders_that_are_made_anew(reload: int, plain: Module) -> None:
    assert same(fitted(reload_dataloaders_every_n_epochs=reload)[0], plain)


@pytest.mark.parametrize("how", ["argument", "pruned loader", "datamodule", "workers", "iterator", "no sampler"])
def test_loaders_of_every_kind(how: str, plain: Module) -> None:
    module, pruner, given = Module(workers=2 if how == "workers" else 0), new_pruner(), {}
    if how == "argument":
        given = {"train_dataloaders": DataLoader(Rows(), BATCH)}
    elif how == "pruned loader":
        given = {"train_dataloaders": PrunedLoader(Rows(), pruner, BATCH)}
    elif how == "datamodule":

        class Data(L.LightningDataModule):
            def train_dataloader(self) -> Any:
                return DataLoader(Rows(), BATCH, shuffle=True)

        given = {"datamodule": Data()}
    elif how == "iterator":

        class Iterating(Module):
            def training_step(self, dataloader_iter: Any) -> Any:
                batch, batch_idx, _ = next(dataloader_iter)
                return super().training_step(batch, batch_idx)

        module = Iterating()
    new_trainer(pruner=pruner, use_distributed_sampler=how != "no sampler").fit(module, **given)
    assert same(module, plain)


def test_pytorch_lightning(plain: Module) -> None:
    """The same callback, although it is made of the other package's class."""
    import pytorch_lightning

    class Other(pytorch_lightning.LightningModule):
        training_step = Module.training_step
        train_dataloader = Module.train_dataloader
        configure_optimizers = Module.configure_optimizers

    module, source = Other(), Module()
    for name in ("workers", "batch_size", "trained", "learning_rate", "tell", "net"):
        setattr(module, name, getattr(source, name))
    pytorch_lightning.Trainer(callbacks=[Pruning(new_pruner())], **QUIET).fit(module)
    assert same(module, plain)


def test_manual_optimization(plain: Module) -> None:
    class Manual(Module):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(super().training_step(batch, batch_idx))
            optimizer.step()
            self.lr_schedulers().step()

    assert same(fitted(module=Manual())[0], plain)


@pytest.mark.parametrize("first", [True, False])
def test_others_know_an_epoch_s_length_when_it_begins(first: bool) -> None:
    """Whichever callback comes first."""
    seen: list[Any] = []

    class Bar(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, module: Any) -> None:
            seen.append(trainer.num_training_batches)

    trainer = new_trainer(Bar())
    if first:
        trainer.callbacks.reverse()
    trainer.fit(Module())
    assert seen == [4, 4, 4, 16]


@pytest.mark.parametrize(
    ("callbacks", "settings", "updates"),
    [
        ([], {"accumulate_grad_batches": 3}, 2 + 2 + 2 + 6),
        ([GradientAccumulationScheduler({1: 2, 3: 5})], {}, 4 + 2 + 2 + 4),
    ],
)
def test_accumulation(callbacks: list[Any], settings: dict[str, Any], updates: int) -> None:
    module, trainer = fitted(*callbacks, **settings)
    assert trainer.global_step == module.total == updates
    assert lengths(module) == LENGTHS


@pytest.mark.parametrize(
    ("settings", "after"),
    [
        ({}, [4, 8, 12, 28]),
        ({"val_check_interval": 0.5}, [2, 4, 6, 8, 10, 12, 20, 28]),
        ({"val_check_interval": 3}, [3, 7, 11, 15, 18, 21, 24, 27]),
        ({"val_check_interval": 5, "check_val_every_n_epoch": None}, [5, 10, 15, 20, 25]),
        ({"check_val_every_n_epoch": 2}, [8, 28]),
    ],
)
def test_validation_inside_epochs(settings: dict[str, Any], after: list[int], plain: Module) -> None:
    module, _ = fitted(num_sanity_val_steps=0, **settings)
    assert module.validated == after
    assert same(module, plain)


def test_a_sanity_check_changes_nothing(plain: Module) -> None:
    module, _ = fitted(num_sanity_val_steps=1)
    assert module.validated[0] == 0
    assert same(module, plain)


def test_early_stopping_at_an_epoch_s_end() -> None:
    module, trainer = fitted(EarlyStopping("loss", patience=1, stopping_threshold=10.0))
    assert lengths(module) == {0: 16}
    assert pruner_of(trainer).epoch == 1


@pytest.mark.filterwarnings("error::emprune.errors.EmpruneWarning")
def test_early_stopping_in_mid_epoch() -> None:
    """Lightning takes the epoch as over, and so does the pruner: what is saved then goes on with the next one.

    What is left out then is meant to be, and no warning.
    """

    class Stop(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            trainer.should_stop = trainer.global_step == 6

    module, trainer = fitted(Stop())
    assert lengths(module) == {0: 16, 1: 8}
    assert (pruner_of(trainer).epoch, trainer.current_epoch) == (2, 2)


# ---- fit again, try, validate


def test_an_interrupted_fit_goes_on_with_what_is_left(plain: Module) -> None:
    """In the same process, without a checkpoint: the batch that failed comes again."""

    class Failing(Module):
        failed = False

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            if len(self.trained) == 7 and not self.failed:
                self.failed = True
                self.trained.pop()
                raise OSError("out of luck")
            return loss

    trainer, module = new_trainer(), Failing()
    with pytest.raises(OSError, match="out of luck"):
        trainer.fit(module)
    assert type(trainer) is L.Trainer
    trainer.fit(module)
    assert module.trained == plain.trained
    assert pruner_of(trainer).table.times_trained.sum() == sum(LENGTHS.values())


def test_fit_after_the_last_epoch_trains_nothing(plain: Module) -> None:
    module, trainer = fitted()
    trainer.fit(module)
    assert same(module, plain)


def test_validating_changes_nothing(tmp_path: Path, plain: Module) -> None:
    """Neither before training, nor of a checkpoint afterwards, whose pruner's state stands elsewhere."""
    trainer, module = new_trainer(), Module()
    trainer.validate(module, verbose=False)
    trainer.fit(module)
    assert same(module, plain)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    other = new_trainer()
    other.validate(Module(), ckpt_path=tmp_path / "end.ckpt", verbose=False)
    assert pruner_of(other).epoch == 0


@pytest.mark.parametrize("steps", [True, 3, 7])
def test_a_quick_look_leaves_the_pruner_as_it_was(steps: Any, plain: Module) -> None:
    pruner = new_pruner()
    module, _ = fitted(pruner=pruner, fast_dev_run=steps)
    assert len(module.trained) == min(int(steps), 4)
    assert same(fitted(pruner=pruner)[0], plain)


@pytest.mark.parametrize("finder", ["learning rate", "batch size"])
def test_finders_leave_the_pruner_as_it_was(finder: str, tmp_path: Path, plain: Module) -> None:
    trainer, module = new_trainer(default_root_dir=tmp_path), Module()
    if finder == "learning rate":
        assert Tuner(trainer).lr_find(module, num_training=12, early_stop_threshold=None, update_attr=False)
        assert len(module.trained) == 12
    else:
        assert Tuner(trainer).scale_batch_size(module, max_trials=3) == 8
        assert {len(ids) for _, ids in module.trained} == {4, 8}
        module.batch_size = BATCH
    module.trained.clear()
    trainer.fit(module)
    assert module.trained == plain.trained
    assert trainer.global_step == 28


# ---- what is refused


@pytest.mark.parametrize("manual", [False, True])
def test_a_loss_that_never_reaches_the_pruner(manual: bool) -> None:
    class Elsewhere(Module):
        automatic_optimization = not manual

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            _, (features, labels) = batch
            return None if manual else torch.nn.functional.cross_entropy(self.net(features[:, 1:]), labels)

    with pytest.raises(EmpruneError, match=r"batch 0 of epoch 0 without the pruner.*Return self\.pruner\.loss"):
        fitted(module=Elsewhere())


def test_a_step_that_is_skipped() -> None:
    class Skipping(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return None if (self.current_epoch, batch_idx) == (1, 2) else super().training_step(batch, batch_idx)

    module, trainer = Skipping(), new_trainer()
    trainer.fit(module)
    assert lengths(module) == {**LENGTHS, 1: 12}


def test_a_step_that_does_not_know_of_ids() -> None:
    class Unaware(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            features, labels = batch
            return torch.nn.functional.cross_entropy(self.net(features[:, 1:]), labels)

    with pytest.raises(IndexError) as caught:
        fitted(module=Unaware())
    assert "a training batch is (ids, batch)" in caught.value.__notes__[0]


def test_a_pruner_that_has_begun() -> None:
    pruner = new_pruner()
    fitted(pruner=pruner)
    with pytest.raises(ArgumentError, match="has begun a run"):
        fitted(pruner=pruner)


def test_an_epoch_that_somebody_else_has_ended() -> None:
    class Ending(Module):
        def on_train_epoch_end(self) -> None:
            self.pruner.end_epoch()

    with pytest.raises(EmpruneError, match="none of its 16 samples was observed"):
        fitted(module=Ending())


def test_two_pruners() -> None:
    module = Module()
    module.pruner = new_pruner()
    with pytest.raises(ArgumentError, match="another one than the module's"):
        fitted(module=module)
    assert fitted(module=module, pruner=module.pruner)
    with pytest.raises(ArgumentError, match=r"pruner is 'str'; allowed: an emprune\.Pruner"):
        Pruning("emp")  # type: ignore[arg-type]


def test_samplers_that_choose_for_themselves() -> None:
    loader = DataLoader(Rows(), BATCH, sampler=WeightedRandomSampler([1.0] * N, 8))
    with pytest.raises(ArgumentError, match="train_dataloader is 'one with WeightedRandomSampler'"):
        new_trainer().fit(Module(), loader)
