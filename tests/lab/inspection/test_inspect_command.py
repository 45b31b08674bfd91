"""``emprune inspect`` on what pruners really save and export, and on files that are none."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.thread_world import on_all_ranks

from emprune import IdBatches, Pruner, checkpoint
from emprune_lab.cli import main

N = 60
LOSS = torch.linspace(0, 5, N)[torch.randperm(N, generator=torch.Generator().manual_seed(3))]
MEMORY = torch.linspace(0, 1, N)
HIGHEST = LOSS.argsort(descending=True).tolist()
MODULE = """
from pathlib import Path
import numpy as np
import torch
from PIL import Image
here = Path(__file__).parent
def array(i): return np.full((8, 8), i, np.uint8)
def tensor(i): return torch.rand(3, 8, 8)
def pil(i): return Image.new("RGB", (300, 200), (i, 0, 0))
def path(i):
    pil(i).save(here / "sample.png")
    return here / "sample.png"
def text(i): return f"<b>sample {i}</b> & more"
def wrong(i): raise KeyError(i)
def number(i): return 3
def labels(): return ["even" if i % 2 == 0 else "odd" for i in range(60)]
def few(): return [0, 1]
"""


def trained(world: object = None, **options: object) -> Pruner:
    pruner = Pruner(N, "random", prune_rate=0.0, num_epochs=2, world=world, **options)
    for ids in IdBatches(pruner, 10):
        pruner.loss(ids, LOSS[ids].requires_grad_(), MEMORY[ids])
    pruner.end_epoch()
    return pruner


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A module beside the working directory, of a name that no other test has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = "user_" + re.sub(r"\W", "_", tmp_path.name)
    (tmp_path / f"{name}.py").write_text(MODULE)
    return name


def inspected(capsys, *arguments: object) -> dict[str, object]:
    assert main(["inspect", *map(str, arguments), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: object) -> str:
    assert main(["inspect", *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize("kind", ["scores.npz", "scores.csv", "scores.parquet", "run.state", "run.pt", "nested.ckpt"])
def test_every_kind_of_file_says_the_same(kind, tmp_path, capsys):
    pruner, path = trained(), tmp_path / kind
    if kind == "run.state":
        checkpoint.save(pruner, path)
    elif kind == "run.pt":
        torch.save(pruner.state_dict(), path)
    elif kind == "nested.ckpt":
        torch.save({"model": {"weight": torch.ones(2)}, "callbacks": {"Pruning": {"p": pruner.state_dict()}}}, path)
    else:
        pruner.export(path)
    numbers = inspected(capsys, path, "--out", tmp_path / "out", "--number", 7)
    assert numbers["suspects"] == HIGHEST[:7] == pruner.suspects(7).tolist()
    assert numbers["hardest"] == pruner.hardest(7).tolist()
    assert numbers["not_remembered"] == int((np.log(2) <= LOSS).sum())
    assert (numbers["samples"], numbers["never_trained"]) == (N, 0)
    assert numbers["quantiles"]["loss"]["q50"] == pytest.approx(2.5, abs=1e-5)
    assert numbers == json.loads((tmp_path / "out" / "summary.json").read_text())


@pytest.mark.parametrize("kind", ["scores.npz", "scores.csv", "run.state"])
def test_with_a_running_average_the_suspects_are_the_pruners(kind, tmp_path, capsys):
    pruner, path = Pruner(N, "random", prune_rate=0.0, num_epochs=2, remember="mean"), tmp_path / kind
    for losses in (LOSS, LOSS.flip(0) * 2):
        for ids in IdBatches(pruner, 10):
            pruner.loss(ids, losses[ids].requires_grad_(), MEMORY[ids])
        pruner.end_epoch()
    checkpoint.save(pruner, path) if kind == "run.state" else pruner.export(path)
    found = inspected(capsys, path, "--out", tmp_path / "out", "--number", 9)["suspects"]
    average = LOSS + 0.3 * (LOSS.flip(0) * 2 - LOSS)
    assert found == pruner.suspects(9).tolist() == average.argsort(descending=True)[:9].tolist()
    assert found != (LOSS.flip(0) * 2).argsort(descending=True)[:9].tolist()


def test_a_folder_stands_for_the_state_in_it(tmp_path, capsys):
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    for _ in range(2):  # the second leaves a previous one
        checkpoint.save(trained(), folder / "pruner.safetensors")
    (folder / "model.bin").write_bytes(b"weights")
    assert inspected(capsys, folder, "--out", tmp_path / "out")["samples"] == N
    checkpoint.save(trained(), folder / "other.state")
    assert "There are other.state, pruner.safetensors: name one of them" in refused(capsys, folder)


def test_the_ranks_of_a_partitioned_table_are_read_together(tmp_path, capsys):
    path = tmp_path / "run.state"
    on_all_ranks(lambda world: checkpoint.save(trained(world, partition_batch_size=10), path), 3)
    assert not path.exists()
    for named in (path, tmp_path, path.with_name("run.state.rank-1-of-3")):
        numbers = inspected(capsys, named, "--out", tmp_path / "out", "--number", 9)
        assert (numbers["samples"], numbers["suspects"]) == (N, HIGHEST[:9])
    path.with_name("run.state.rank-2-of-3").unlink()
    assert "rank-2-of-3 is missing" in refused(capsys, path)


def test_samples_that_were_never_seen(tmp_path, capsys):
    pruner = Pruner(N, "random", prune_rate=0.5, num_epochs=2)
    for ids in IdBatches(pruner, 10):
        pruner.loss(ids, LOSS[ids].requires_grad_())  # and no memory term
    pruner.end_epoch()
    numbers = inspected(capsys, pruner.export(tmp_path / "s.csv"), "--out", tmp_path / "out")
    assert (numbers["never_seen"], numbers["never_trained"], len(numbers["suspects"])) == (30, 30, 30)
    assert numbers["quantiles"]["memory"] == {}
    assert numbers["quantiles"]["loss"]["q100"] < 5.1


def test_the_suspects_as_csv(user, tmp_path, capsys):
    inspected(capsys, trained().export(tmp_path / "s.npz"), "--labels", f"{user}:labels", "--number", 5, "--out", "out")
    with (tmp_path / "out" / "suspects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == HIGHEST[:5]
    assert [row["label"] for row in rows] == ["odd" if at % 2 else "even" for at in HIGHEST[:5]]
    assert float(rows[0]["probability"]) == pytest.approx(np.exp(-5), rel=0.01)
    assert rows[0]["times_trained"] == "1"


@pytest.mark.parametrize("kind", ["function", "npy", "txt"])
def test_labels_give_the_balance_of_what_was_kept(kind, user, tmp_path, capsys):
    given = [0 if at < 15 else 1 for at in range(N)]
    named = {"function": f"{user}:labels", "npy": "y.npy", "txt": "y.txt"}[kind]
    np.save("y.npy", given)
    Path("y.txt").write_text("".join(f"{label}\n" for label in given))
    pruner = Pruner(N, "random", prune_rate=0.5, num_epochs=2)
    for ids in IdBatches(pruner, 10):
        pruner.loss(ids, LOSS[ids].requires_grad_())
    pruner.end_epoch()
    classes = inspected(capsys, pruner.export("s.npz"), "--labels", named, "--out", "out", "--number", 4)["classes"]
    counts = {"even": 30, "odd": 30} if kind == "function" else {"0": 15, "1": 45}
    assert {name: one["samples"] for name, one in classes.items()} == counts
    if kind == "npy":
        kept = np.flatnonzero(pruner.table.times_trained)
        assert classes["0"]["share_trained"] == pytest.approx((kept < 15).mean())
        assert classes["0"]["mean_loss"] == pytest.approx(float(LOSS[kept[kept < 15]].mean()), rel=1e-5)
    assert sum(one["suspects"] for one in classes.values()) == 4


class Links(HTMLParser):
    """What a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize(("function", "images"), [("array", 1), ("tensor", 1), ("pil", 1), ("path", 1), ("text", 0)])
def test_the_gallery_shows_images_and_text_and_needs_no_network(function, images, user, tmp_path, capsys):
    inspected(capsys, trained().export("s.npz"), "--show", f"{user}:{function}", "--number", 8, "--out", "out")
    page = Path("out/gallery.html").read_text()
    links = Links()
    links.feed(page)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links.found)
    assert links.tags.count("img") == images * 4 * 8
    assert ("&lt;b&gt;sample" in page) == (function == "text")
    assert "<script" not in page
    assert page.index(f"id {HIGHEST[0]} ") < page.index(f"id {HIGHEST[1]} ")


def test_without_a_function_the_gallery_has_the_numbers(tmp_path, capsys):
    inspected(capsys, trained().export(tmp_path / "s.npz"), "--out", tmp_path / "out")
    assert "<img" not in (tmp_path / "out" / "gallery.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--show", "{}:wrong"], "(25) raised KeyError: 25"),
        (["--show", "{}:number"], "a int cannot be shown; allowed: an image of PIL"),
        (["--show", "{}:arrey"], "Did you mean 'array'?"),
        (["--show", "no_such_module:x"], "there is no module no_such_module"),
        (["--show", "nothing"], "show is 'nothing'; allowed: module:function or file.py:function"),
        (["--labels", "{}:few"], "has 2 labels; allowed: one for each id up to 59"),
        (["--labels", "{}:number"], "raised TypeError"),
        (["--labels", "none.npy"], "labels is 'none.npy'; allowed: a file that is there"),
        (["--number", "0"], "number is 0"),
    ],
)
def test_what_users_get_wrong(arguments, said, user, capsys):
    path = trained().export("s.npz")
    error = refused(capsys, path, "--out", "out", *(word.format(user) for word in arguments))
    assert said.replace("25", str(HIGHEST[0])) in error
    assert not Path("out/gallery.html").exists()


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_run_of_the_laboratory(tmp_path, capsys):
    values = {"loss": LOSS.numpy(), "entropy": MEMORY.numpy(), "correct": LOSS.numpy() < 1}
    np.savez(tmp_path / "samples.npz", **values, times_trained=np.arange(N), mislabelled=np.zeros(N, bool))
    numbers = inspected(capsys, tmp_path, "--out", tmp_path / "out", "--number", 3)
    assert (numbers["suspects"], numbers["never_seen"]) == (HIGHEST[:3], 0)
    assert (numbers["most_trained"], numbers["least_trained"]) == ([59, 58, 57], [0, 1, 2])


def test_damaged_files(tmp_path, capsys):
    pruner = trained()
    torch.save(pruner.state_dict(), tmp_path / "run.pt")
    checkpoint.save(pruner, tmp_path / "run.state")
    exports = [pruner.export(tmp_path / f"scores.{kind}") for kind in ("npz", "parquet")]
    for path in (tmp_path / "run.pt", tmp_path / "run.state", *exports):
        assert str(path) in refused(capsys, cut(path))


def test_files_that_are_something_else(tmp_path, capsys):
    assert "allowed: a state" in refused(capsys, tmp_path / "missing")
    torch.save({"weight": torch.ones(2)}, tmp_path / "model.pt")
    assert "holds 0 states of a pruner" in refused(capsys, tmp_path / "model.pt")
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    assert "holds a Tensor" in refused(capsys, tmp_path / "tensor.pt")
    (tmp_path / "notes.txt").write_text("nothing")
    assert "no state that emprune saved" in refused(capsys, tmp_path / "notes.txt")
    np.savez(tmp_path / "some.npz", id=np.arange(3), loss=np.ones(3))
    assert "has no column memory, last_seen, times_trained; it has id, loss" in refused(capsys, tmp_path / "some.npz")
    (tmp_path / "some.csv").write_text("id,loss\n0,1\n")
    assert "has no column memory" in refused(capsys, tmp_path / "some.csv")
    (tmp_path / "bad.csv").write_text("id,loss,memory,last_seen,times_trained\n0,1,a,2,3\n")
    assert "is damaged, or no .csv file" in refused(capsys, tmp_path / "bad.csv")
    state = trained().state_dict()
    del state["table.loss"]
    torch.save(state, tmp_path / "part.pt")
    assert "has no column table.loss" in refused(capsys, tmp_path / "part.pt")
