"""How much is measured and trained: on an accelerator, and in a rehearsal that a processor finishes in a minute."""

from __future__ import annotations

from dataclasses import dataclass, field

from emprune_lab.specs.recipe import Mode, Precision

AS_SHIPPED, AS_PUBLISHED = ("emp-gated", "emp"), ("emp:beta=1:rule=top", "emp:beta=1:gamma=1")


@dataclass(frozen=True)
class Sizes:
    """All that a rehearsal makes smaller.

    Attributes:
        models: of loop and headline. modes: in the order of promise; those behind the third are measured last.
        jobs: runs at once. train_size: N; of the headline None is all. loop_seconds: of a measurement.
        step_batches, step_pairs: of the steps with and without pruning.
        tokens, vocabulary: of the loss. epochs: of the headline's recipe. policies, rates, seeds: of its runs.
        start_seconds: what a run takes beside its steps.
    """

    models: tuple[str, ...] = ("resnet18", "resnet50")
    modes: tuple[Mode, ...] = ("plain", "graph", "compile-graph", "compile")
    jobs: tuple[int, ...] = (1, 2, 4)
    loop_train_size: dict[str, int] = field(default_factory=lambda: {"resnet18": 50_000, "resnet50": 20_000})
    loop_seconds: float = 3.0
    step_batches: tuple[int, ...] = (128, 1024)
    step_pairs: int = 60
    tokens: int = 8192
    vocabulary: int = 50_257
    epochs: int = 200
    short_epochs: int = 60
    batch_size: int = 128
    train_size: int | None = None
    precision: Precision = "bfloat16"
    policies: tuple[str, ...] = ("random", *AS_SHIPPED, *AS_PUBLISHED, "infobatch")
    later_policies: tuple[str, ...] = ("lfl", "orderdp")
    rates: tuple[float, ...] = (0.7, 0.9)
    seeds: int = 3
    start_seconds: float = 15.0


REHEARSAL = Sizes(
    models=("resnet8-slim",), modes=("plain", "graph"), jobs=(1, 2), loop_train_size={"resnet8-slim": 20},
    loop_seconds=0.1, step_batches=(4,), step_pairs=2, tokens=256, vocabulary=99, epochs=2, short_epochs=1,
    batch_size=6, train_size=12, precision="float32", policies=("random", AS_PUBLISHED[0]), later_policies=(),
    rates=(0.5,), seeds=1, start_seconds=1.0,
)  # fmt: skip
