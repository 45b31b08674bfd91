"""Run under torchrun: trainers on several ranks, what each rank trained, and whether scores landed on their rows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch.distributed as dist
from trainer_runs import Rows, Watched, arguments, naive_scores, new_model, new_pruner, weights_of

SETTINGS = {
    "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "optim": "sgd", "learning_rate": 0.05,
    "save_strategy": "steps", "save_steps": 3,
}  # fmt: skip
UNEVEN = {"gradient_accumulation_steps": 1}


def trained(folder: Path, size: int, resume: str | None = None, **changed: Any) -> dict[str, Any]:
    """Train, and what came of it; on every rank."""
    # Made first: it starts the process group, which the pruner then knows.
    args = arguments(folder, **{**SETTINGS, **changed})
    trainer = Watched(
        new_model(dropout=0), args, train_dataset=Rows(size=size), pruner=lambda n: new_pruner(n, policy="emp")
    )  # fmt: skip
    steps: list[dict[str, Any]] = []
    forwards: list[tuple[int, int, float]] = []
    labels = trainer.train_dataset.labels

    def keep(model: Any, given: Any, inputs: dict[str, Any], outputs: Any) -> None:
        for tokens, logits in zip(inputs["input_ids"].tolist(), outputs.logits.tolist(), strict=True):
            forwards.append((len(steps), tokens[0], naive_scores("classification", logits, int(labels[tokens[0]]))[0]))

    trainer.model.register_forward_hook(keep, with_kwargs=True)
    trainer.tell = steps.append
    trainer.train(resume_from_checkpoint=resume)
    table = trainer.pruner.table
    return {
        "steps": steps, "forwards": forwards, "loss": table.loss.tolist(), "count": table.times_trained.tolist(),
        "weights": weights_of(trainer.model).tolist(), "updates": [trainer.state.global_step, trainer.state.max_steps],
        "logs": [log.get("realised_rate") for log in trainer.state.log_history if "train_loss" in log],
    }  # fmt: skip


def main(folder: Path) -> None:
    found = {
        "even": trained(folder / "even", 32),
        "uneven": trained(folder / "uneven", 26, **UNEVEN),
        "resumed": trained(folder / "uneven", 26, str(folder / "uneven" / "checkpoint-3"), **UNEVEN),
    }
    (folder / f"rank-{dist.get_rank()}.new").write_text(json.dumps(found))
    (folder / f"rank-{dist.get_rank()}.new").rename(folder / f"rank-{dist.get_rank()}.json")
    dist.barrier()
    sys.stdout.flush()
    os._exit(0)  # gloo's threads have hung and aborted now and then in taking a model apart


if __name__ == "__main__":
    main(Path(sys.argv[1]))
