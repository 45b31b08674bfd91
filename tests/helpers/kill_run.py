"""Runs that are killed: a tiny model trained on a pruner's batches, saved every few steps by emprune.checkpoint.

As a script it is a server: it imports torch once and then forks a process for each request (a line of JSON
on stdin), before it has any thread of its own, so that dozens of kills are cheap. The forked process says a byte
at each step; the server kills it, by SIGKILL, so many bytes and seconds later as asked, and answers with a line.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import safetensors.torch  # noqa: F401  once, before the forks
import torch
from cases import Positions, loss_of, memory_of
from torch.utils.data import get_worker_info

from emprune import AutoRate, PrunedLoader, Pruner
from emprune.checkpoint import load_state, save, save_state

N, EPOCHS, BATCH = 120, 6, 8


def new_pruner(
    policy: str = "infobatch", epochs: int = EPOCHS, seed: int = 0, rate: float | str = 0.5, target: float | None = None
) -> Pruner:
    prune_rate = rate if target is None else AutoRate(target=target)
    return Pruner(N, policy, prune_rate=prune_rate, num_epochs=epochs, seed=seed)


def train(
    folder: str, tell: Callable[[], None], *, session: int = 0, workers: int = 0, save_every: int = 3,
    stop: str | None = None, falling: bool = False, **settings: Any,
) -> None:  # fmt: skip
    """Train what is left of the run in ``folder``; log each step there, and the model at the end.

    Args:
        stop: where to save once more and be killed: "epoch E" (between epochs), "batch 0 of E" or "step S".
        falling: whether ever fewer samples have a high loss.
    """
    path = Path(folder) / "run.state"
    pruner, model = new_pruner(**settings), torch.nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.fill_(0.25), model.bias.fill_(0.5)
    if path.exists():
        state = load_state(path)
        pruner.load_state_dict(state)
        model.load_state_dict({name: state[f"model.{name}"] for name in model.state_dict()})
    options = {"num_workers": workers, "prefetch_factor": 4} if workers else {}
    loader = PrunedLoader(Positions(N), pruner, BATCH, **options)
    step = pruner.report().steps

    def save_all() -> None:
        weights = {f"model.{name}": value for name, value in model.state_dict().items()}
        save_state(path, {**pruner.state_dict(), **weights})

    def reach(event: str) -> None:
        if event == stop:
            save_all()
            os.kill(os.getpid(), signal.SIGKILL)

    with (Path(folder) / f"log-{session}").open("w") as log:
        for epoch in pruner.epochs():
            if "plan.ids" not in pruner.state_dict():
                reach(f"epoch {epoch}")
            weight_of = pruner.plan.weight_of
            reach(f"batch 0 of {epoch}")
            for ids, (values, _) in loader:
                loss = loss_of(ids, epoch * (not falling)) ** (1 + epoch * falling) + model(
                    values / N
                ).square().squeeze(1)
                pruner.loss(ids, loss, memory_of(ids, epoch)).backward()
                with torch.no_grad():  # by hand: torch.optim imports a second's worth of modules in each process
                    for parameter in model.parameters():
                        parameter -= 0.01 * parameter.grad
                model.zero_grad()
                row = {"step": step, "epoch": epoch, "ids": ids.tolist(), "weights": weight_of[ids.numpy()].tolist()}
                log.write(json.dumps(row) + "\n")
                log.flush()
                step += 1
                tell()
                reach(f"step {step}")
                if step % save_every == 0:
                    save_all()
    (Path(folder) / "model").write_text(repr([value.tolist() for value in model.state_dict().values()]))


def save_again_and_again(folder: str, tell: Callable[[], None], *, size: int) -> None:
    """Save states of ``size`` samples that say in every place how many saves there were; tell each save."""
    path = Path(folder) / "again.state"
    first = load_state(path)["saves"] + 1 if path.exists() else 0
    for saves in itertools.count(first):
        columns = {f"column.{i}": torch.full((size,), saves + i, dtype=torch.int32) for i in range(4)}
        save_state(path, {"saves": saves, **columns})
        tell()


class Fatal(Positions):
    """The worker that reads a certain sample dies, while the training loop waits for it."""

    fatal = -1

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index == self.fatal and get_worker_info():
            time.sleep(0.5)
            os._exit(3)
        return super().__getitem__(index)


def outlive_a_worker(folder: str, tell: Callable[[], None], *, fatal: int, persistent: bool) -> None:
    """Train until the worker that reads sample ``fatal`` dies; go on in this process; log all steps."""
    data, pruner, rows, message, before = Fatal(N), new_pruner(), [], "", 0
    data.fatal = fatal

    def loop() -> None:
        loader = PrunedLoader(data, pruner, BATCH, num_workers=2, prefetch_factor=1, persistent_workers=persistent)
        for epoch in pruner.epochs():
            weight_of = pruner.plan.weight_of
            for ids, _ in loader:
                pruner.loss(ids, loss_of(ids, epoch), memory_of(ids, epoch))
                rows.append([epoch, ids.tolist(), weight_of[ids.numpy()].tolist()])
                tell()

    try:
        loop()
    except RuntimeError as error:
        message, before = str(error), len(rows)
    save(pruner, Path(folder) / "run.state")
    data.fatal = -1
    pruner.load_state_dict(pruner.state_dict())
    loop()
    result = {"message": message, "before": before, "rows": rows, "trained": pruner.report().samples_backward}
    (Path(folder) / "result").write_text(json.dumps(result))


TASKS = {"train": train, "save again and again": save_again_and_again, "outlive a worker": outlive_a_worker}


def serve() -> None:
    """Answer requests until stdin ends."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        hear, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(request, tell)
        os.close(tell)
        with contextlib.suppress(OSError):  # the child does the same: whoever comes first
            os.setpgid(pid, pid)
        count, status = _watch(pid, hear, request["after"], request["delay"])
        os.close(hear)
        print(json.dumps({"count": count, "code": os.waitstatus_to_exitcode(status)}), flush=True)


def _child(request: dict[str, Any], tell: int) -> None:
    code = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        TASKS[request["task"]](request["folder"], lambda: os.write(tell, b"."), **request["settings"])
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _watch(pid: int, hear: int, after: int | None, delay: float) -> tuple[int, int]:
    """How many bytes the process sent, and its status; killed ``delay`` seconds after ``after`` bytes, if given."""
    count, done, status = 0, 0, 0
    while not done:
        if count == after:
            after = None
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
        if select.select([hear], [], [], 0.01)[0]:
            count += len(os.read(hear, 4096 if after is None else 1))
        done, status = os.waitpid(pid, os.WNOHANG)  # its workers hold the pipe too: no waiting for its end
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # those workers, which would notice only after seconds
    while select.select([hear], [], [], 0)[0] and (heard := os.read(hear, 4096)):
        count += len(heard)
    return count, status


def forked(ranks: int) -> int:
    """The rank of this process, alone or one of two that a fork makes; both end after a while rather than hang."""
    rank = 0
    if ranks > 1:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1]), "NODE_RANK": "0"}
        rank = int(os.fork() == 0)
        os.environ.update({**address, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)})
    signal.alarm(200)  # a child has none of its own
    return rank


def environment() -> dict[str, str]:
    """Of a process that imports the modules beside the tests."""
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


class Server:
    """The other end: start it as a context manager.

    Attributes:
        script: what serves. warnings: what its warnings are. stderr: where it complains, as for Popen.
    """

    script, warnings = __file__, "error"
    stderr: int | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-W", self.warnings, self.script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, stderr=self.stderr, env=environment(),
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def run(
        self, folder: Path, task: str = "train", after: int | None = None, delay: float = 0.0, **settings: Any
    ) -> tuple[int, int]:
        """Run a task in a process of its own, killed where asked; how many bytes it sent, and its exit code."""
        request = {"folder": str(folder), "task": task, "after": after, "delay": delay, "settings": settings}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["count"], answer["code"]


def logged(folder: Path, session: int) -> list[dict[str, Any]]:
    """What a session's steps consumed; a line that the kill cut is left out."""
    log = folder / f"log-{session}"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


if __name__ == "__main__":
    serve()
