"""How long a large report takes to open in a headless Chromium, and its size: 100 runs of 50,000 made-up images.

    python benchmarks/page_opening.py [--runs 100] [--samples 50000] [--repeat 5] [--page report.html]

Each opening is a new browser with an empty cache. Printed are medians: milliseconds from the start of the navigation
until the page is loaded and until it is first painted, and those of a processor that its main thread took, which other
work on the machine disturbs least. It needs chromium, chromium-driver and selenium.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from machine import describe

from emprune_lab.data import ImageData
from emprune_lab.records.results import Result, Samples, save_run
from emprune_lab.report import comparison
from emprune_lab.report.page import write_report
from emprune_lab.tasks import recipe_for

EPOCHS = 30
POLICIES = ("short", "random", "lfl", "infobatch", "ucb", "orderdp", "emp", "emp-gated", "divbs", "emp:beta=2", "mine")
RATES, SEEDS = (0.5, 0.7, 0.9), 3


def made_data(count: int) -> ImageData:
    """Smooth images of ten classes, about as hard to compress as photographs of that size."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 8, 8)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").round().byte()
    labels = torch.from_numpy(rng.integers(0, 10, count))
    names = tuple(f"class {number}" for number in range(10))
    return ImageData("cifar10", images, labels, labels, images[:1], labels[:1], names)


def made_runs(folder: Path, runs: int, samples: int) -> list[Result]:
    """So many runs, written with their arrays below ``folder``, one folder a run; plausible, and nothing trained."""
    cells = [("full", 0.0, seed) for seed in range(SEEDS)]
    cells += [(policy, rate, seed) for rate, policy, seed in itertools.product(RATES, POLICIES, range(SEEDS))]
    return [_made(folder, place, *cell, samples) for place, cell in enumerate(cells[:runs])]


def _made(folder: Path, place: int, policy: str, rate: float, seed: int, samples: int) -> Result:
    rng = np.random.default_rng(place)
    kept = round((1 - rate) * samples)
    chance = rng.beta(2, 2, samples) * 2 * (1 - rate)
    trained = np.cumsum(rng.random((EPOCHS, samples)) < chance, axis=0).astype(np.int32)
    turns = np.stack([np.bincount(one, minlength=EPOCHS + 1) for one in trained]).astype(np.int32)
    loss = rng.lognormal(-2, 2, samples).astype(np.float32)
    accuracy = 0.95 - 0.1 * rate**2 - 0.002 * (POLICIES.index(policy) if policy in POLICIES else 0) + 0.002 * seed
    history = [
        {"kept": kept, "loss": 2.0 / (1 + epoch) + 0.1 * seed, "accuracy": 0.5, "seconds": 1.0 + rate}
        for epoch in range(EPOCHS)
    ]
    result = Result(
        data="cifar10", model="resnet8", split="test", label_noise=0.0, policy=policy, policy_settings={},
        prune_rate=rate, realised_rate=rate, seed=seed, epochs=EPOCHS, num_samples=samples,
        samples_forward=kept * EPOCHS, samples_backward=kept * EPOCHS, optimizer_steps=kept * EPOCHS // 128,
        metric="accuracy", accuracy=accuracy, remembered=0.9, remembered_true=0.9,
        seconds={"total": 40.0, "train": 30.0 * (1.1 - rate), "select": 0.1, "evaluate": 1.0}, history=history,
        recipe=recipe_for("cifar10").as_dict(), anneal=0.0, budget="epoch", device="a machine", versions={},
        git_commit="unknown", command="", run_id=f"{policy}-{rate:g}-{seed}",
    )  # fmt: skip
    entropy = np.minimum(loss * rng.uniform(0.5, 1.5, samples), 2.3).astype(np.float32)
    arrays = Samples(
        times_trained=trained[-1], loss=loss, entropy=entropy, correct=loss < 1, mislabelled=np.zeros(samples, bool),
        turns=turns,
    )  # fmt: skip
    save_run(folder / result.run_id, result, arrays)
    return result


def made_page(folder: Path, runs: int, samples: int) -> Path:
    """The report on made runs, below ``folder``."""
    results, data = made_runs(folder / "runs", runs, samples), made_data(samples)
    with mock.patch.object(comparison, "labelled_data", return_value=data):
        return write_report(folder / "out", results, folder / "runs").report


def opened(page: Path) -> dict[str, float]:
    """Milliseconds of one opening."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for one in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1600,1000",
    ):
        options.add_argument(one)
    options.binary_location = shutil.which("chromium") or ""
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.get(page.resolve().as_uri())
        loaded, painted = browser.execute_script(
            "return [performance.getEntriesByType('navigation')[0].loadEventEnd,"
            " performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN]"
        )
        metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        work = 1000 * next(one["value"] for one in metrics if one["name"] == "ThreadTime")
        return {"loaded_ms": loaded, "painted_ms": painted, "main_thread_cpu_ms": work}
    finally:
        browser.quit()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print size and times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--page", type=Path, help="open this report instead of a made one")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        page = options.page or made_page(Path(folder), options.runs, options.samples)
        times = [opened(page) for _ in range(options.repeat)]
        medians = {name: round(statistics.median(one[name] for one in times)) for name in times[0]}
        print(json.dumps({"megabytes": round(page.stat().st_size / 1e6, 2), **medians, **describe()}))


if __name__ == "__main__":
    main()
