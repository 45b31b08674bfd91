"""The second part: what is measured, in which order, and what follows for the third."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from accelerator import loop, steps
from accelerator.children import Child, Outcome, barrier, first_done
from accelerator.files import Record
from accelerator.sizes import Sizes
from emprune_lab.specs.recipe import Mode

_TRIES = 2
_TYPICAL = 4_000_000


class Item(NamedTuple):
    """A measurement: its name, what it is expected to take and may take at most, and how it is called."""

    name: str
    expected: float
    most: float
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    copies: int = 1


class Choice(NamedTuple):
    """How the headline's runs of a model are executed, and what it promises.

    Attributes:
        jobs: runs at once. images_per_second: of all of them together. start: most seconds before a run's first
            epochs are over, nothing found compiled.
    """

    mode: Mode
    jobs: int
    images_per_second: float
    start: float


def measure(
    record: Record,
    device: str,
    sizes: Sizes,
    modes: tuple[Mode, ...],
    seconds: float,
    machine: dict[str, Any],
    only: tuple[str, ...] = (),
) -> list[str]:
    """Measure what the record does not hold, as far as time goes; what is left out, and why.

    Args:
        machine: written down beside every figure.
        only: what names of measurements begin with; empty for all.
    """
    end, left_out = time.monotonic() + seconds, []
    for item in _items(record, device, sizes, modes):
        if only and not item.name.startswith(only):
            continue
        entry = record.entries.get(item.name, {})
        if (entry and "error" not in entry) or entry.get("tries", 0) >= _TRIES:
            continue
        left = end - time.monotonic()
        if item.expected > left:
            left_out.append(f"{item.name}: would not end in the {max(left, 0):.0f} s left")
            continue
        entry = _entry(_outcomes(item, min(item.most, left)), entry.get("tries", 0))
        record.put(item.name, entry | {"machine": machine})
        if "error" in entry:
            left_out.append(f"{item.name}: {entry['error'].splitlines()[0]}")
    return left_out


def choice(record: Record, model: str, modes: tuple[Mode, ...]) -> Choice | None:
    """What takes the least time a run, of what worked and whose losses agree with the plain loop's; None: nothing did.

    A run of the headline is taken for 4 million images; its start for the shortest that was measured, since what one
    process has compiled, the others on a machine find.
    """
    plain = record.entries.get(_loop(model, "plain"), {})
    rows = [entry for name, entry in record.entries.items() if name.startswith(f"loop {model}, ")]
    rows = [entry for entry in rows if entry.get("mode") in modes and _usable(entry, plain)]
    starts: dict[str, list[float]] = {}
    for row in rows:
        starts.setdefault(row["mode"], []).append(row["seconds_before"])

    def seconds_a_run(row: dict[str, Any]) -> float:
        jobs = row.get("jobs", 1)
        return float(min(starts[row["mode"]]) / jobs + _TYPICAL / row["images_per_second"])

    if not rows:
        return None
    best = min(rows, key=seconds_a_run)
    return Choice(best["mode"], best.get("jobs", 1), best["images_per_second"], max(starts[best["mode"]]))


def _items(record: Record, device: str, sizes: Sizes, modes: tuple[Mode, ...]) -> Iterator[Item]:
    """In the order of worth; a generator, since what is measured later depends on what was found before."""
    first, *others = sizes.models
    promising, last = modes[:3], modes[3:]
    yield from _ways_to_run(record, first, device, sizes, promising)
    for batch_size in sizes.step_batches:
        for model in sizes.models:
            case = steps.Case(model, device, batch_size, sizes.step_pairs)
            yield Item(f"step {model}, batch {batch_size}", 20, 60, steps.overhead, (case,))
    for dtype in ("bfloat16", "float32"):
        yield Item(f"tokens {dtype}", 8, 40, tokens, (device, sizes.tokens, sizes.vocabulary, dtype))
    best = choice(record, first, modes)
    if best is not None:
        for model in others:
            for mode in dict.fromkeys(("plain", best.mode)):
                yield _loop_item(model, mode, device, sizes)
            if best.jobs > 1:
                yield _loop_item(model, best.mode, device, sizes, best.jobs)
    for mode in last:
        yield _loop_item(first, mode, device, sizes)
    for model in sizes.models:
        yield Item(f"layouts {model}", 10, 40, layouts, (model, device, sizes.step_batches[0]))


def _ways_to_run(
    record: Record, model: str, device: str, sizes: Sizes, modes: tuple[Mode, ...]
) -> Iterator[Item]:  # fmt: skip
    """Every mode alone, those that are usable a few at once, and the best of all with more."""
    for mode in modes:
        yield _loop_item(model, mode, device, sizes)
    few, *many = sizes.jobs[1:]
    plain = record.entries.get(_loop(model, "plain"), {})
    for mode in modes[1:]:
        if _usable(record.entries.get(_loop(model, mode), {}), plain):
            yield _loop_item(model, mode, device, sizes, few)
    best = choice(record, model, modes)
    if best is not None:
        for jobs in many:
            yield _loop_item(model, best.mode, device, sizes, jobs)


def tokens(device: str, count: int, vocabulary: int, dtype: str) -> dict[str, Any]:
    """benchmarks/token_loss.py: loss and entropy against F.cross_entropy; a target of 1.15."""
    import token_loss

    torch.set_num_threads(1)
    options = argparse.Namespace(
        tokens=count, vocabulary=vocabulary, dtype=dtype, threads=1, device=device, repeats=20,
        sides="cross_entropy,pair,tokens",
    )  # fmt: skip
    rows: dict[str, Any] = token_loss.measure(options)
    if device != "cpu":
        for side, extra in token_loss.peaks(options).items():
            rows[side]["extra_memory"] = extra
    return {"n": options.repeats, **vars(options), "rows": rows}


def layouts(model: str, device: str, batch_size: int) -> dict[str, Any]:
    """benchmarks/lab_speed.py: contiguous images and weights against channels last, the laboratory's layout."""
    import lab_speed

    options = argparse.Namespace(
        layouts=["nchw", "nhwc"], precisions=["bfloat16" if device != "cpu" else "float32"], modes=["eager"],
        rounds=3, seconds=0.3 if device != "cpu" else 0.01,
    )  # fmt: skip
    rows = lab_speed.measure(lab_speed.Case(model, 32, batch_size), options, torch.device(device))
    return {"n": options.rounds, "batch_size": batch_size, "rows": rows}


def _loop(model: str, mode: str, jobs: int = 1) -> str:
    return f"loop {model}, {mode}" if jobs == 1 else f"loop {model}, {mode}, {jobs} at once"


def _loop_item(model: str, mode: Mode, device: str, sizes: Sizes, jobs: int = 1) -> Item:
    case = loop.Case(
        model, mode, device, sizes.loop_train_size[model], sizes.batch_size, sizes.precision, sizes.loop_seconds
    )
    compiles = mode.startswith("compile")
    return Item(_loop(model, mode, jobs), 25 if compiles else 10, 80, loop.images_per_second, (case,), jobs)


def _outcomes(item: Item, seconds: float) -> list[Outcome]:
    """Of all copies, which wait for one another before they measure; once one has failed, the others are ended."""
    end, outcomes = time.monotonic() + seconds, list[Outcome]()
    more = (barrier(item.copies, seconds),) if item.copies > 1 else ()
    running = [Child(item.function, *item.arguments, *more) for _ in range(item.copies)]
    while running:
        failed = any(outcome.error is not None for outcome in outcomes)
        done = first_done(running, 0 if failed else end - time.monotonic())
        for child in done or list(running):  # none is done: the time is over
            running.remove(child)
            outcomes.append(child.finish(0))
    return outcomes


def _entry(outcomes: list[Outcome], tries: int) -> dict[str, Any]:
    """What goes into the record."""
    seconds = round(max(outcome.seconds for outcome in outcomes), 1)
    failed = next((outcome.error for outcome in outcomes if outcome.error is not None), None)
    if failed is not None:
        return {"error": failed, "tries": tries + 1, "seconds": seconds}
    first: dict[str, Any] = outcomes[0].value
    if len(outcomes) == 1:
        return {**first, "seconds_in_all": seconds}
    each = [outcome.value["images_per_second"] for outcome in outcomes]
    together = {"jobs": len(each), "images_per_second": round(sum(each), 1), "each": each}
    return {**first, **together, "seconds_in_all": seconds}


def _usable(entry: dict[str, Any], plain: dict[str, Any]) -> bool:
    return "losses" in entry and "losses" in plain and loop.agree(entry["losses"], plain["losses"])
