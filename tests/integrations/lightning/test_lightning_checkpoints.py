"""A run that goes on from a checkpoint, wherever it was saved, is the uninterrupted one to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint
from lightning_runs import Module, new_pruner, new_trainer, pruner_of, weights_of

from emprune import StateError
from emprune.integrations.lightning.checkpoints import without_last

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on workers, folders, callbacks
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # what Lightning itself calls
]


class Everywhere(L.Callback):
    """Saves a checkpoint behind each batch, within the hook that Lightning's own callback uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.fit_loop.total_batch_idx + 1}.ckpt")


def outcome(module: Module, trainer: L.Trainer) -> dict[str, Any]:
    """All that an uninterrupted run has in the end."""
    table, report = pruner_of(trainer).table, pruner_of(trainer).report()
    return {
        "weights": weights_of(module), "updates": trainer.global_step, "epoch": trainer.current_epoch,
        "logged steps": trainer.fit_loop.epoch_loop._batches_that_stepped, "loss": table.loss.tolist(),
        "memory": table.memory.tolist(), "times": table.times_trained.tolist(),
        "report": (report.steps, report.samples_forward, report.realised_rate),
    }  # fmt: skip


def resumed(path: Path, *callbacks: Any, **settings: Any) -> tuple[Module, L.Trainer]:
    module, trainer = Module(), new_trainer(*callbacks, **settings)
    trainer.fit(module, ckpt_path=path)
    return module, trainer


# Epochs have 4, 4, 4 and 16 batches: in mid-epoch, behind a last step, within an accumulation, where epochs differ.
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"accumulate_grad_batches": 3},
        {"accumulate_grad_batches": 2, "val_check_interval": 0.75},
        {"limit_val_batches": 0, "reload_dataloaders_every_n_epochs": 1},
    ],
    ids=["plain", "accumulation", "validation in mid-accumulation", "reloading"],
)
def test_saved_behind_any_batch(settings: dict[str, Any], tmp_path: Path) -> None:
    trainer, module = new_trainer(Everywhere(tmp_path), **settings), Module()
    trainer.fit(module)
    whole, accumulation = outcome(module, trainer), settings.get("accumulate_grad_batches", 1)
    for batch in (1, 2, 3, 4, 6, 8, 12, 13, 17, 28):
        again, second = resumed(tmp_path / f"{batch}.ckpt", **settings)
        assert outcome(again, second) == whole
        epoch = min(batch - 1, 12) // 4
        within = batch - 4 * epoch
        at_its_end = within == (16 if epoch == 3 else 4)
        first = batch - (0 if at_its_end else within % accumulation)  # gradients of later ones are not in the file
        assert again.trained == module.trained[first:]


@pytest.mark.parametrize("saving", ["validation", "epoch", "last"])
def test_saved_where_lightning_saves(saving: str, tmp_path: Path) -> None:
    how = {
        "validation": {"monitor": "loss"},
        "epoch": {"save_on_train_epoch_end": True},
        "last": {"save_last": True, "every_n_train_steps": 4},
    }[saving]
    settings = {"enable_checkpointing": True, "val_check_interval": 0.5 if saving == "validation" else 1.0}

    def keep(folder: str) -> Any:
        return ModelCheckpoint(tmp_path / folder, save_top_k=-1, filename="{step}", **how)  # type: ignore[arg-type]

    trainer, module = new_trainer(keep("first"), **settings), Module()
    trainer.fit(module)
    whole = outcome(module, trainer)
    for path in (tmp_path / "first").glob("step=*.ckpt"):
        again, second = resumed(path, keep("second"), **settings)
        assert outcome(again, second) == whole
        assert again.trained == module.trained[int(path.stem.split("=")[1]) :]


@pytest.mark.parametrize("where", ["before", "behind the loss", "in the update"])
def test_saved_by_an_exception(where: str, tmp_path: Path) -> None:
    """Within a step: its batch is not counted as trained, and comes again."""

    class Failing(Module):
        def fail(self, place: str) -> None:
            if place == where and len(self.trained) == 7:
                raise OSError("out of luck")

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.fail("before")
            loss = super().training_step(batch, batch_idx)
            self.fail("behind the loss")
            return loss

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            self.fail("in the update")

    whole = new_trainer(accumulate_grad_batches=2)
    module = Module()
    whole.fit(module)
    trainer = new_trainer(OnExceptionCheckpoint(tmp_path), accumulate_grad_batches=2, enable_checkpointing=True)
    failing = Failing()
    if where == "in the update":
        failing.trained.append((-1, []))  # the fourth update is that of batches 7 and 8; fail in the third
    with pytest.raises(OSError, match="out of luck"):
        trainer.fit(failing)
    again, second = resumed(tmp_path / "on_exception.ckpt", accumulate_grad_batches=2)
    done = 4 if where == "in the update" else 6
    assert again.trained == module.trained[done:]
    assert outcome(again, second) | {"logged steps": 0} == outcome(module, whole) | {"logged steps": 0}


def test_workers_go_on(tmp_path: Path) -> None:
    trainer, module = new_trainer(Everywhere(tmp_path)), Module(workers=2)
    trainer.fit(module)
    again, second = Module(workers=2), new_trainer()
    second.fit(again, ckpt_path=tmp_path / "6.ckpt")
    assert outcome(again, second) == outcome(module, trainer)


def test_a_run_that_is_over_stays_so(tmp_path: Path) -> None:
    trainer, module = new_trainer(), Module()
    trainer.fit(module)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    again, second = resumed(tmp_path / "end.ckpt")
    assert (again.trained, pruner_of(second).epoch) == ([], 4)
    assert weights_of(again) == weights_of(module)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 9}, "seed is 9 here, but the state was saved with 2"),
        ({"prune_rate": 0.5}, r"prune_rate is 0\.5 here, but the state was saved with 0\.75"),
    ],
)
def test_another_run_cannot_go_on(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    new_trainer(Everywhere(tmp_path)).fit(Module())
    with pytest.raises(StateError, match=message):
        resumed(tmp_path / "6.ckpt", pruner=new_pruner(**changed))


def test_another_batch_size_cannot_go_on(tmp_path: Path) -> None:
    new_trainer(Everywhere(tmp_path)).fit(Module())
    with pytest.raises(StateError, match=r"the global batch is 2 here .* saved with 4"):
        new_trainer().fit(Module(batch_size=2), ckpt_path=tmp_path / "6.ckpt")


def test_a_checkpoint_made_without_pruning(tmp_path: Path) -> None:
    class Unpruned(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.net(batch[0][:, 1:]).square().mean()

    trainer = new_trainer()
    trainer.callbacks = []
    trainer.fit(Unpruned())
    trainer.save_checkpoint(tmp_path / "unpruned.ckpt")
    with pytest.raises(StateError, match="saved by a run without this callback"):
        resumed(tmp_path / "unpruned.ckpt")


def test_a_pruner_s_state_without_its_last_batches() -> None:
    """As if they had not been trained; the third of three batches is smaller."""
    pruner, states = new_pruner(prune_rate=0.85, anneal=0), []  # 10 samples an epoch
    for ids in torch.from_numpy(pruner.plan.ids.copy()).split(4):
        states.append(pruner.state_dict())
        pruner.loss(ids, torch.ones(len(ids)), torch.ones(len(ids)))
    last = pruner.state_dict()
    for batches in (1, 2, 3):
        before, then = without_last(last, batches, 4), states[3 - batches]
        same = {"global_batch": last["counters"]["global_batch"]}
        assert before["counters"] == {**then["counters"], **same}
        assert before["counters"]["consumed"] == 12 - 4 * batches
        assert before["table.times_trained"].tolist() == then["table.times_trained"].tolist()
    assert without_last(last, 0, 4) is last
