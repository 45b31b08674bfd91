"""Small models, rows that say which they are, and trainers that log what they train; for the tests beside this file.

As a script it is the server of kill_run.py, whose task "trainer" trains a PrunedTrainer in a folder, and "loop" runs an
example.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kill_run
import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PrinterCallback,
    T5Config,
    T5ForConditionalGeneration,
    TrainingArguments,
)

from emprune import Pruner
from emprune.integrations.transformers import PrunedTrainer
from emprune.integrations.transformers.batches import IDS

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
N, VOCABULARY, LENGTH, CLASSES = 26, 40, 7, 3
SIZE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
MODELS = {
    "classification": BertForSequenceClassification,
    "token classification": BertForTokenClassification,
    "masked": BertForMaskedLM,
    "causal": GPT2LMHeadModel,
    "llama": LlamaForCausalLM,
    "mixture of experts": MixtralForCausalLM,
    "encoder-decoder": T5ForConditionalGeneration,
}


def new_model(kind: str = "classification", dropout: float = 0.1, **changed: Any) -> Any:
    torch.manual_seed(5)
    if kind == "causal":
        drop = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
        tokens = {"bos_token_id": 0, "eos_token_id": 0}
        config: Any = GPT2Config(
            vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=16, n_layer=1, n_head=2, **drop, **tokens, **changed
        )
    elif kind == "llama":
        config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=8, num_key_value_heads=2, **SIZE)
    elif kind == "mixture of experts":
        config = MixtralConfig(
            vocab_size=VOCABULARY, max_position_embeddings=8, num_key_value_heads=2, num_local_experts=3,
            output_router_logits=True, router_aux_loss_coef=0.5, **SIZE,
        )  # fmt: skip
    elif kind == "encoder-decoder":
        config = T5Config(
            vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, dropout_rate=dropout,
            decoder_start_token_id=0,
        )  # fmt: skip
    else:
        drop = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        config = BertConfig(
            vocab_size=VOCABULARY, **SIZE, max_position_embeddings=8, **{"num_labels": CLASSES, **drop, **changed}
        )
    model = MODELS[kind](config)
    with torch.no_grad():  # far from uniform predictions, which would forgive a shifted label
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    return model


class Rows(Dataset):
    """Row i begins with token i; labels are of the kind asked for, some of them -100."""

    def __init__(self, kind: str = "classification", size: int = N) -> None:
        draw = torch.Generator().manual_seed(3)
        self.tokens = torch.randint(0, VOCABULARY, (size, LENGTH), generator=draw)
        self.tokens[:, 0] = torch.arange(size)
        if kind == "classification":
            self.labels = torch.randint(0, CLASSES, (size,), generator=draw)
            return
        self.labels = torch.randint(0, CLASSES, (size, LENGTH), generator=draw) if "token" in kind else self.tokens
        ignored = torch.rand(size, LENGTH, generator=draw) < 0.5
        ignored[:, 3] = False
        self.labels = self.labels.masked_fill(ignored, -100)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self.tokens[row], "labels": self.labels[row], "name": f"row {row}"}


def arguments(folder: Path | str, **changed: Any) -> TrainingArguments:
    settings = {
        "num_train_epochs": 4, "per_device_train_batch_size": 4, "learning_rate": 2e-3, "report_to": "none",
        "disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False, "save_strategy": "no", "seed": 1,
        "logging_strategy": "no",
    }  # fmt: skip
    return TrainingArguments(str(folder), **{**settings, **changed})


def new_pruner(size: int = N, policy: str = "infobatch", **changed: Any) -> Pruner:
    return Pruner(size, policy, **{"prune_rate": 0.5, "num_epochs": 4, "anneal": 0.25, "seed": 2, **changed})


class Watched(PrunedTrainer):
    """Tells after each training forward pass: epoch, ids and weights of the batch."""

    tell: Callable[[dict[str, Any]], None] = lambda self, row: None

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        ids = inputs.get(IDS)
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if ids is not None:
            weights = self.pruner.plan.weight_of[ids.numpy()].tolist()
            self.tell({"epoch": self.pruner.epoch, "ids": ids.tolist(), "weights": weights})
        return loss


def new_trainer(
    folder: Path | str, kind: str = "classification", pruner: Any = None, cls: type = Watched, size: int = N,
    **changed: Any,
) -> Any:  # fmt: skip
    model = new_model(kind, **changed.pop("model", {}))
    own = {name: changed.pop(name) for name in ("allow",) if name in changed}
    args = arguments(folder, **changed)
    return cls(model, args, train_dataset=Rows(kind, size), pruner=pruner or new_pruner(size), **own)


def weights_of(model: Any) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def naive_scores(kind: str, logits: list, labels: Any) -> tuple[float, float]:
    """Loss and entropy of one sample by loops over numbers."""

    def of(row: list[float], label: int) -> tuple[float, float]:
        most = max(row)
        total = sum(math.exp(x - most) for x in row)
        q = [math.exp(x - most) / total for x in row]
        return -math.log(q[label]), -sum(p * math.log(p) for p in q if p > 0)

    if kind == "classification":
        return of(logits, labels)
    if kind in ("causal", "llama"):
        logits, labels = logits[:-1], labels[1:]
    found = [of(row, label) for row, label in zip(logits, labels, strict=True) if label != -100]
    return sum(loss for loss, _ in found) / len(found), sum(entropy for _, entropy in found) / len(found)


def train(
    folder: str, tell: Callable[[], None], *, session: int = 0, resume: str | None = None, stop: int | None = None,
    **changed: Any,
) -> None:  # fmt: skip
    """The server's task: train in ``folder``, log each forward pass there, and the weights at the end.

    Args:
        resume: a checkpoint's folder.
        stop: how many forward passes to make before being killed.
    """
    trainer = new_trainer(Path(folder) / "out", **{"save_strategy": "steps", "save_steps": 3, **changed})
    signal.alarm(200)  # rather than hang
    trainer.remove_callback(PrinterCallback)  # the server answers on stdout
    passes = 0
    with (Path(folder) / f"log-{session}").open("w") as log:

        def write(row: dict[str, Any]) -> None:
            nonlocal passes
            if passes == stop:
                os.kill(os.getpid(), signal.SIGKILL)
            passes += 1
            log.write(json.dumps({**row, "step": trainer.state.global_step}) + "\n")
            log.flush()
            tell()

        trainer.tell = write
        trainer.train(resume_from_checkpoint=resume)
    (Path(folder) / "weights").write_text(json.dumps(weights_of(trainer.model).tolist()))


def loop(folder: str, tell: Callable[[], None], *, ranks: int = 1, stop: int | None = None) -> None:
    """The server's task: the example of a loop with accelerate on ranks that are forked; what it prints goes to a file.

    Args:
        stop: how many forward passes to make before all ranks are killed.
    """
    rank = kill_run.forked(ranks)
    passes, loss_of_batch = 0, Pruner.loss

    def counted(*args: Any, **kwargs: Any) -> torch.Tensor:
        nonlocal passes
        passes += 1
        if rank == 0 and passes == stop:
            os.killpg(0, signal.SIGKILL)
        return loss_of_batch(*args, **kwargs)

    Pruner.loss = counted  # type: ignore[method-assign]
    sys.argv = ["accelerate_loop.py", "--out", f"{folder}/out", "--epochs", "4", "--save-every", "5"]
    with (Path(folder) / f"printed-{rank}").open("w") as printed, contextlib.redirect_stdout(printed):
        runpy.run_path(str(EXAMPLES / "accelerate_loop.py"), run_name="__main__")
    if rank:
        os._exit(0)


class Server(kill_run.Server):
    script = __file__


if __name__ == "__main__":
    kill_run.TASKS.update({"trainer": train, "loop": loop})
    kill_run.serve()
