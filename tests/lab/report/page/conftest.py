"""Pages to look at, made once, and one browser for all of them."""

import dataclasses

import numpy as np
import pytest
import torch
from browsing import TEXTS, start_browser
from made_results import made
from made_samples import samples

from emprune_lab.records.results import Scored, save_run
from emprune_lab.report import comparison
from emprune_lab.report.page import write_report
from emprune_lab.runs.runner import run
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for
from emprune_lab.tasks.sentences.glue import SentenceData, Sentences

RECIPE = recipe_for("digits").changed(epochs=4)


@pytest.fixture(scope="package")
def browser():
    started = start_browser()
    yield started
    started.quit()


@pytest.fixture(scope="package")
def digits(tmp_path_factory):
    """A real comparison with wrong labels, of which one run is still to come; its page, and its results."""
    folder = tmp_path_factory.mktemp("digits")
    cells = [("full", 0.0), *((policy, rate) for policy in ("short", "random", "emp") for rate in (0.5, 0.8))]
    specs = [RunSpec("digits", *cell, seed, RECIPE, label_noise=0.1) for seed in range(2) for cell in cells]
    results = [run(spec, folder / "runs" / spec.run_id) for spec in specs]
    (folder / "runs" / "another").mkdir()
    return write_report(folder / "out", results, folder / "runs").report, results


@pytest.fixture(scope="package")
def sentences(tmp_path_factory):
    """A page of texts, of which some would be markup."""
    folder, count = tmp_path_factory.mktemp("sentences"), 60
    results = [
        made(
            *cell, seed, data="cola", num_samples=count, recipe=recipe_for("cola").as_dict(),
            run_id=f"{cell[0]}-{seed}",
        )
        for cell in (("full", 0.0), ("random", 0.7), ("emp", 0.7))
        for seed in range(2)
    ]  # fmt: skip
    for place, result in enumerate(results):
        arrays = samples(count, 5, place)
        save_run(
            folder / "runs" / result.run_id, result, dataclasses.replace(arrays, mislabelled=np.zeros(count, bool))
        )
    labels = torch.arange(count) % 2
    texts = Sentences(tuple(f"{TEXTS[place % 2]} {place}" for place in range(count)))
    data = SentenceData("cola", texts, labels, labels, texts, labels, ("no", "yes"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "labelled_data", lambda *_: data)
        return write_report(folder / "out", results, folder / "runs").report


@pytest.fixture(scope="package")
def own(tmp_path_factory):
    """A page of a user's own function, whose runs know of their samples what steps have seen."""
    folder, recipe = tmp_path_factory.mktemp("own"), {"epochs": 3, "own": {"num_samples": 100}}
    results = []
    for place, (policy, rate, seed) in enumerate(
        (policy, rate, seed)
        for policy, rate in (("full", 0.0), ("random", 0.5), ("emp-gated", 0.5))
        for seed in range(3)
    ):
        trained = np.random.default_rng(place).integers(0, 4, 100).astype(np.int32)
        history = [{"kept": 100 * (1 - rate), "loss": 1.0 / epoch, "seconds": 1.0} for epoch in (1, 2, 3)]
        results.append(dataclasses.replace(
            made(policy, rate, seed), data="mine:train", model="", split="", recipe=recipe, metric="score",
            accuracy=0.9 + seed / 100, metrics={"score": 0.9}, higher_is_better=True, remembered=None,
            remembered_true=None, num_samples=100, history=history, run_id=f"{policy}-{seed}",
        ))  # fmt: skip
        turns = np.stack([np.bincount(np.minimum(trained, epoch), minlength=4) for epoch in (1, 2, 3)])
        loss = np.random.default_rng(place).exponential(1, 100).astype(np.float32)
        trained[0], loss[0] = 0, np.inf
        arrays = Scored(trained, loss, loss[::-1].clip(0, 2), turns=turns.astype(np.int32))
        save_run(folder / "runs" / results[-1].run_id, results[-1], arrays)
    return write_report(folder / "out", results, folder / "runs", show="my sample {}".format).report
