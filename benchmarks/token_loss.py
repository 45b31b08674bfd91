"""Loss and entropy of tokens in one pass against torch's cross-entropy alone: time and peak memory.

Measured: forward and backward over the same logits (normally distributed) and labels, in one process, the sides
taking turns, after a warm-up:

- ``cross_entropy``: F.cross_entropy, no entropy: the yardstick;
- ``pair``: F.cross_entropy, then the entropy from log_softmax without gradient, as one would write it;
- ``tokens``: emprune.scoring.tokens, which on CUDA uses the Triton kernel where Triton is installed;
- ``plain``: the same with kernel="plain"; ``compiled``: the same through torch.compile. Only with ``--sides``.

``ratio`` is the median over the rounds of a side's time to cross_entropy's in the same round, with quartiles: CPU
seconds of the process with one thread, wall seconds otherwise. ``extra_memory`` is what forward and backward need at
their peak beside the logits and before they are given back, in parts of the logits' size: on CUDA what the allocator
counted; on a CPU the growth of the resident set's peak (Linux's VmHWM) in a process of its own. ``measure`` gives the
times and ``peaks`` the memory to other scripts.
Targets: a ratio of at most 1.5 on a CPU and 1.15 on an accelerator, below that of ``pair``, and no larger peak than
cross_entropy's, at 8192 tokens.

Run:    python benchmarks/token_loss.py     # 1024 tokens of 50,257; --full for 8192, --dtype bfloat16, --threads 2
        python benchmarks/token_loss.py --device cuda --full --sides cross_entropy,pair,tokens,plain,compiled
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import describe
from torch.nn import functional as F

from emprune.scoring import tokens

Side = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LENGTH = 256


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def pair(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    loss = cross_entropy(logits, labels)
    with torch.no_grad():
        log_q = torch.log_softmax(logits.float(), dim=-1)
        torch.special.entr(log_q.exp()).sum(dim=-1).mean(dim=1)
    return loss


def ours(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return tokens(logits, labels).loss.mean()


def plain(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return tokens(logits, labels, kernel="plain").loss.mean()


def sides(names: str) -> dict[str, Side]:
    known = {"cross_entropy": cross_entropy, "pair": pair, "tokens": ours, "plain": plain}
    return {name: torch.compile(ours) if name == "compiled" else known[name] for name in names.split(",")}


def make(options: argparse.Namespace, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator(options.device).manual_seed(0)
    logits = torch.empty(
        number // LENGTH, LENGTH, options.vocabulary, dtype=getattr(torch, options.dtype), device=options.device
    )
    for row in logits:
        row.normal_(generator=generator)
    labels = torch.randint(options.vocabulary, logits.shape[:2], generator=generator, device=options.device)
    return logits.requires_grad_(), labels


def once(side: Side, logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Seconds of forward and backward."""
    clock = time.process_time if torch.get_num_threads() == 1 and not logits.is_cuda else time.perf_counter
    began = clock()
    side(logits, labels).backward()
    if logits.is_cuda:
        torch.cuda.synchronize()
    took = clock() - began
    logits.grad = None
    return took


def most_resident() -> int:
    """Bytes. Not getrusage, whose peak a process inherits from the one that started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def peak(options: argparse.Namespace) -> float:
    """What the one side named needs beside the logits, in parts of their size."""
    (side,) = sides(options.sides).values()
    once(side, *make(options, LENGTH))
    logits, labels = make(options, options.tokens)
    if logits.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        once(side, logits, labels)
        after = torch.cuda.max_memory_allocated()
    else:
        before = most_resident()
        once(side, logits, labels)
        after = most_resident()
    return (after - before) / logits.nbytes


def peak_apart(options: argparse.Namespace, name: str) -> float:
    """The same in a process of its own."""
    arguments = [f"--{key}={getattr(options, key)}" for key in ("tokens", "vocabulary", "dtype", "threads", "device")]
    command = [sys.executable, __file__, *arguments, f"--sides={name}", "--peak"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def peaks(options: argparse.Namespace) -> dict[str, float]:
    """What each side needs; where the allocator counts, here, and else in a process of its own."""
    counted = options.device.startswith("cuda")
    return {
        name: round(
            peak(argparse.Namespace(**vars(options) | {"sides": name})) if counted else peak_apart(options, name), 3
        )
        for name in options.sides.split(",")
    }


def measure(options: argparse.Namespace) -> dict[str, dict[str, float | list[float]]]:
    """Seconds and ratios by side."""
    chosen, seconds = sides(options.sides), []
    logits, labels = make(options, options.tokens)
    for number in range(options.repeats + 1):
        names = list(chosen) if number % 2 else list(reversed(chosen))
        seconds.append({name: once(chosen[name], logits, labels) for name in names})
    found: dict[str, dict[str, float | list[float]]] = {}
    for name in chosen:
        low, middle, high = statistics.quantiles([it[name] / it["cross_entropy"] for it in seconds[1:]], n=4)
        found[name] = {
            "seconds": round(statistics.median(it[name] for it in seconds[1:]), 5),
            "ratio": round(middle, 3),
            "ratio_quartiles": [round(low, 3), round(high, 3)],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=1024, help=f"a multiple of {LENGTH}")
    parser.add_argument("--full", action="store_const", dest="tokens", const=8192, help="8192 tokens")
    parser.add_argument("--vocabulary", type=int, default=50_257)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int, default=1, help="on a CPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sides", default="cross_entropy,pair,tokens", help="cross_entropy first")
    parser.add_argument("--peak", action="store_true", help="only the peak memory of the one side named")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        print(peak(options))
        return
    about = {key: getattr(options, key) for key in ("tokens", "vocabulary", "dtype", "threads", "device")}
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else None
    found, memory = measure(options), peaks(options)
    rows = {side: {**found[side], "extra_memory": memory[side]} for side in found}
    result = {"benchmark": "token_loss", **about, "sides": rows, "machine": describe()}
    print(json.dumps(result | ({"accelerator": name} if name else {}), indent=2))


if __name__ == "__main__":
    main()
