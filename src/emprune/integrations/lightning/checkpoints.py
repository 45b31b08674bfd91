"""What a checkpoint of Lightning says of an epoch in progress: made exact, so that a resumed run trains what is left.

Lightning saves wherever a callback asks for it: between two updates, whose accumulated gradients are then lost, within
a step that an exception ended, or behind an epoch's last step, before its end.
"""

from __future__ import annotations

from typing import Any

from emprune.state import Counters


def batches_without_update(trainer: Any) -> int:
    """Batches of this rank that have been trained since the last update of the running epoch, but not applied."""
    loop = trainer.fit_loop.epoch_loop
    if not is_in_step(trainer) and not loop._should_accumulate():
        return 0
    return int(loop.batch_progress.current.processed % trainer.accumulate_grad_batches)


def is_in_step(trainer: Any) -> bool:
    """Whether a batch is being trained."""
    current = trainer.fit_loop.epoch_loop.batch_progress.current
    return bool(current.started > current.processed)


def without_last(state: dict[str, Any], batches: int, global_batch: int) -> dict[str, Any]:
    """A pruner's state as it was before its last steps in the running epoch, whose updates were not made.

    Scores that these steps have recorded stay; the same samples come again, and are recorded again.

    Args:
        state: of a pruner whose plan was trained in its order.
        batches: of each rank, at most as many as the epoch has begun.
        global_batch: samples that all ranks train in a step.
    """
    counters = Counters(**state["counters"])
    if not batches or not counters.consumed:
        return state
    begin = max(0, -(-counters.consumed // global_batch) - batches) * global_batch
    again = state["plan.ids"][begin : counters.consumed]
    times = state["table.times_trained"].clone()
    times[again] = (times[again] - 1).clamp_min(0)
    before = {
        "consumed": begin,
        "samples_forward": counters.samples_forward - len(again),
        "steps": counters.steps - batches,
    }
    return {**state, "counters": {**state["counters"], **before}, "table.times_trained": times}


def forget_last(loops: dict[str, Any], batches: int) -> None:
    """Lightning's side of :func:`without_last`: take so many batches off its counts, in place."""
    progress = loops["epoch_loop.batch_progress"]
    if batches and progress["total"]["completed"] < progress["total"]["processed"]:
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1  # since a restart counts the last update again
    for counts in (progress["total"], progress["current"]):
        for name in counts:
            counts[name] -= batches


def finish_last_step(loops: dict[str, Any]) -> int | None:
    """Make the state of a checkpoint behind an epoch's last step one that ends this epoch, in place.

    Lightning takes it for one in the middle of the next epoch otherwise, calls no hook for the end of the one nor for
    the start of the other, and takes the batches of the one for batches of the other.

    Returns:
        Lightning's count of updates for loggers, as it must be at the epoch's end; None for other checkpoints.
    """
    progress = loops["epoch_loop.batch_progress"]
    both = (progress["total"], progress["current"])
    if not progress["is_last_batch"] or any(counts["completed"] != counts["processed"] - 1 for counts in both):
        return None
    for counts in both:
        counts["completed"] += 1
    return int(loops["epoch_loop.state_dict"]["_batches_that_stepped"]) + 1
