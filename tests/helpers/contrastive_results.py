"""Contrastive runs made by hand, with histories and per-sample arrays that look like those of real ones."""

from __future__ import annotations

import dataclasses

import numpy as np
from made_results import made

from emprune_lab.records.results import Result, Samples
from emprune_lab.tasks import recipe_for
from emprune_lab.tasks.contrastive.settings import Contrastive

_PLAIN = recipe_for("digits").changed(model="resnet8-thin", batch_size=256)
SIMCLR = dataclasses.replace(_PLAIN, task=Contrastive(memory="hidden", memory_temperature=0.2)).as_dict()
EPOCHS, SAMPLES = 12, 1197
GAINS = {"full": 4.0, "short": -0.3, "random": 0.0, "lfl": -2.0, "scan": 0.6, "emp": 1.2, "emp:memory=alignment": 0.4}


def contrastive_run(policy, rate, seed, **changes) -> Result:
    """One run; a policy's accuracies lie around random's by its gain in points, 0 where it has none."""
    draw = np.random.default_rng([seed, round(10 * rate), *policy.encode()])
    knn = 0.80 - 0.05 * rate + (GAINS.get(policy, 0.0) + 0.25 * draw.normal()) / 100
    probe = knn + 0.03 + 0.002 * draw.normal()
    metrics = {"knn": knn, "linear probe": probe, "linear probe, 10 % of labels": 0.7 + 0.02 * draw.normal()}
    kept = SAMPLES if policy == "full" else round((1 - rate) * SAMPLES)
    passed = np.linspace(0, 1, EPOCHS + 1)[1:]
    memory = 6.2 - (0.9 + GAINS.get(policy, 0.0) / 10) * (1 - np.exp(-3 * passed)) + 0.03 * draw.normal(size=EPOCHS)
    retrieved = (0.85 + GAINS.get(policy, 0.0) / 100) * (1 - np.exp(-4 * passed)) + 0.01 * draw.normal(size=EPOCHS)
    history = [
        {"kept": kept, "loss": 3.0, "accuracy": 0.5, "seconds": 2.0, "memory": float(one), "retrieved": float(other)}
        for one, other in zip(memory, retrieved, strict=True)
    ]
    fields = {
        "metric": "knn", "metrics": metrics, "history": history, "recipe": SIMCLR, "model": "resnet8-thin",
        "num_samples": SAMPLES, "epochs": EPOCHS, "samples_backward": kept * EPOCHS,
        "samples_forward": kept * EPOCHS, "remembered": float(retrieved[-1]), "run_id": f"{policy}-{rate:g}-{seed}",
    }  # fmt: skip
    return made(policy, rate, seed, knn, **{**fields, **changes})


def contrastive_runs(seeds=3, rates=(0.5, 0.7), policies=tuple(GAINS), **changes) -> list[Result]:
    """Every policy at every rate and seed."""
    return [
        contrastive_run(policy, rate, seed, **changes)
        for policy in policies
        for rate in ((0.0,) if policy == "full" else rates)
        for seed in range(seeds)
    ]


def samples_of(run: Result) -> Samples:
    """Arrays of a run: what is trained more often is retrieved more often."""
    draw = np.random.default_rng(run.seed)
    counts = draw.binomial(EPOCHS, 1 - run.prune_rate, SAMPLES)
    return Samples(
        times_trained=counts.astype(np.int32),
        loss=draw.gamma(4, 0.4, SAMPLES).astype(np.float32),
        entropy=(6.2 - draw.gamma(4, 0.2, SAMPLES)).astype(np.float32),
        correct=draw.random(SAMPLES) < 0.5 + 0.4 * counts / EPOCHS,
        mislabelled=np.zeros(SAMPLES, dtype=bool),
    )
