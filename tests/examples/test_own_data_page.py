"""The page on one's own data and its examples: what is shown is what runs, in at most twenty added lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from patching import changed, patched

import emprune
from emprune.policies import REGISTRY
from emprune_lab.cli import main
from emprune_lab.commandline.commands import OWN_POLICIES, OWN_PRUNE_RATES, OWN_SEEDS
from emprune_lab.commandline.own import own_specs
from emprune_lab.records.results import load_results
from emprune_lab.runs.own.run import check_own

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "own-data.md").read_text()
SCRIPT, DIFF = ((EXAMPLES / f"compare_digits.{suffix}").read_text() for suffix in ("py", "diff"))


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_the_page_shows_the_examples_difference_in_at_most_twenty_lines() -> None:
    [shown] = blocks("diff")
    added, here = changed(DIFF, "+"), changed(shown, "+")
    assert [line for line in added if line and not line.startswith("from torch")] == here
    assert set(changed(shown, "-")) < set(changed(DIFF, "-"))
    assert len(here) == 12 <= 20
    assert "Twelve lines are added" in PAGE
    assert "twelve lines are added" in SCRIPT


def test_without_them_the_script_trains_once(capsys: pytest.CaptureFixture[str]) -> None:
    plain = patched(SCRIPT, DIFF, reverse=True)
    assert "emprune" not in plain
    exec(compile(plain, "plain.py", "exec"), {"__name__": "__main__", "__doc__": "A script."})
    printed = capsys.readouterr().out
    assert float(re.search(r"test accuracy ([\d.]+)%", printed)[1]) > 85  # type: ignore[index]


def test_the_script_and_the_command_of_the_page_end_with_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "compare_digits.py").write_text(SCRIPT.replace("EPOCHS, BATCH = 20, 32", "EPOCHS, BATCH = 2, 128"))
    done = python("compare_digits.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = r"Pruning with emp-gated at 0\.[57] (costs|gains|ends at|costs no) .*it saves [57]0 % of the samples"
    assert re.search(answer, " ".join(done.stdout.split()))
    assert len(load_results(tmp_path / "runs" / "compare-digits")) == 27
    assert "27 runs" in PAGE
    command = re.search(r"emprune compare (--train compare_digits.*)", PAGE)[1]  # type: ignore[index]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["compare", *command.replace("--num-epochs 20", "--num-epochs 2").split()]) == 0
    assert "27 runs, 27 of them finished" in capsys.readouterr().out  # the same runs, by name or by call
    assert (tmp_path / "runs" / "compare-digits" / "report.html").is_file()


def test_what_the_defaults_cost_is_what_the_page_says() -> None:
    def train(pruner: object, seed: int) -> float:
        return 0.0

    lengths = {"num_samples": 1000, "num_epochs": 16}
    default = own_specs(train, OWN_POLICIES, OWN_PRUNE_RATES, range(OWN_SEEDS), **lengths)
    first = own_specs(train, ("full", "random", "emp-gated"), (0.7,), range(1), **lengths)
    full = 1000 * 16
    assert (len(default), round(sum(check_own(default).values()) / full, 1)) == (27, 10.6)
    assert round(sum(check_own(first).values()) / full, 1) == 1.6
    assert "27 runs that train as much as 10.6 full ones" in PAGE
    assert "a first look, 1.6 full runs" in PAGE


def test_the_trainers_example_goes_on_and_compares(tmp_path: Path) -> None:
    """Two processes, two runs for each policy and rate: all that a Trainer saves lies in its run's own folder."""
    done = python(
        str(EXAMPLES / "compare_text.py"), "--seeds", "1", "--epochs", "2", "--jobs", "2", "--out", "out", cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = load_results(tmp_path / "out")
    assert len(results) == 9
    assert {run.metric for run in results} == {"accuracy"}
    full = next(run for run in results if run.policy == "full")
    assert (full.samples_backward, full.optimizer_steps, full.epochs) == (1600, 100, 2)
    assert list((tmp_path / "out" / "runs" / full.run_id / "state").glob("checkpoint-*"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_functions_own_checkpoint_is_as_the_page_writes_it(tmp_path: Path) -> None:
    """The block's lines around a loop of two lines: killed in its third epoch, it goes on there."""
    block = next(found for found in blocks("python") if "run.pt" in found)
    begin, end = block.split("    ...\n", 1)[1].rsplit("        ...\n", 1)
    body = """
        if epoch == stop:
            raise KeyboardInterrupt
        for ids in emprune.IdBatches(pruner, 10):
            pruner.loss(ids, model(torch.ones(len(ids), 1)).square().squeeze(1)).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
"""
    lines = "def train(pruner, folder, model, optimizer, schedule, stop):\n" + (begin + end).replace(
        "for _ in", "for epoch in"
    )
    names = {"torch": torch, "emprune": emprune}
    exec(compile(lines + body, "page", "exec"), names)

    def run(stop: int | None) -> tuple[emprune.Pruner, torch.Tensor]:
        torch.manual_seed(0)
        pruner, model = emprune.Pruner(40, "random", prune_rate=0.5, num_epochs=4), torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=8)
        names["train"](pruner, tmp_path, model, optimizer, schedule, stop)  # type: ignore[operator]
        return pruner, model.weight.detach()

    with pytest.raises(KeyboardInterrupt):
        run(2)
    pruner, weight = run(None)
    (tmp_path / "run.pt").unlink()
    other, uninterrupted = run(None)
    assert torch.equal(weight, uninterrupted)
    assert (pruner.table.times_trained == other.table.times_trained).all()


def test_a_policy_of_ones_own_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'emprune.policies.REGISTRY["stalest"] = Stalest' in PAGE

    class Stalest(REGISTRY["random"]):  # type: ignore[misc]
        """The page's name for it."""

        name = "stalest"

    monkeypatch.setitem(REGISTRY, "stalest", Stalest)
    specs = own_specs(lambda pruner, seed: 0.0, ["stalest"], [0.5], [0], num_samples=10, num_epochs=2)
    assert check_own(specs) == {specs[0].run_id: 10}


def test_lengths_may_be_attributes_as_the_page_says() -> None:
    train = SimpleNamespace(num_samples=1200, num_epochs=20, __module__="mine", __qualname__="train")
    [spec] = own_specs(train, ["full"], [0.5], [0], num_samples=None, num_epochs=None)  # type: ignore[arg-type]
    assert (spec.num_samples, spec.epochs) == (1200, 20)
