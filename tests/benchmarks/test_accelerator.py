"""The script for an accelerator, rehearsed: killed in the middle it loses nothing and does nothing twice."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from accelerator import headline, loop, speed
from accelerator.children import call
from accelerator.correctness import check
from accelerator.files import Record
from accelerator.headline import Estimate
from accelerator.sizes import REHEARSAL, Sizes
from made_cifar import put_cifar100

from emprune_lab.data import cifar
from emprune_lab.runs.compare import Comparison

ROOT = Path(__file__).parents[2]
MACHINE = {"device": "made"}


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The command of a rehearsal on made images, and an environment in which their md5 sums are the published ones."""
    put_cifar100(tmp_path, monkeypatch, train_labels=[i % 3 for i in range(12)], test_labels=[0, 1])
    monkeypatch.syspath_prepend(str(tmp_path))
    patch = f"from emprune_lab.data import cifar\ncifar.MD5.update({cifar.MD5!r})\n"
    (tmp_path / "sitecustomize.py").write_text(patch)
    command = [
        str(ROOT / "benchmarks" / "accelerator.sh"), "--rehearse", "--device", "cpu", "--minutes", "5", "--data-dir",
        str(tmp_path), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--jobs", "2",
    ]  # fmt: skip
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    return command, os.environ | {"PYTHON": sys.executable, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def read(folder, name):
    path = folder / name
    return json.loads(path.read_text()) if path.is_file() else []


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_in_the_middle_it_goes_on(script, tmp_path):
    command, environment = script
    out, wanted = tmp_path / "out", [spec.run_id for spec in headline.queue(REHEARSAL, str(tmp_path))]
    first = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: read(out, "results.json"))
    first.kill()
    first.wait()
    wait_until(lambda: is_gone(first.pid), 20)  # no run goes on beside the next call
    before = {name: read(out, name) for name in ("results.json", "speed.json", "correctness.json")}
    assert 0 < len(before["results.json"]) < len(wanted)

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    results = read(out, "results.json")
    assert sorted(run["run_id"] for run in results) == sorted(wanted)  # each once
    assert results[: len(before["results.json"])] == before["results.json"]
    assert read(out, "correctness.json") == before["correctness.json"]
    assert set(before["correctness.json"].values()) == {"passed", "complete"}
    assert read(out, "speed.json") == before["speed.json"]
    assert not [entry for entry in before["speed.json"].values() if "error" in entry]
    calls = list(read(out, "calls.json").values())
    assert [call["rehearsal"] for call in calls] == [True, True]
    begun = [line.split()[1] for one in calls for line in one["runs"] if line.startswith("begins")]
    ended = [line.split()[1].rstrip(":") for one in calls for line in one["runs"] if line.startswith("ends")]
    assert len(set(ended)) == len(ended)
    assert len(begun) <= len(wanted) + 2  # those that were killed are begun again
    processor = calls[0]["machine"]["device"]
    assert "cores" in processor
    assert {run["device"] for run in results} <= {processor, f"{processor}, graph"}  # and no accelerator's name
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert max(path.stat().st_size for path in files) < 2**20


def test_the_paper_s_runs_come_most_important_first():
    specs = headline.queue(Sizes(), None)
    assert len({spec.run_id for spec in specs}) == len(specs)
    policies = ["random", "emp-gated", "emp", "emp:beta=1:rule=top", "emp:beta=1:gamma=1", "infobatch"]
    expected = [("resnet18", policy, 0.7, 200) for policy in policies]
    expected += [("resnet18", policy, 0.9, 200) for policy in policies[:3]]
    expected += [("resnet50", policy, 0.7, 200) for policy in policies]
    rows = [(spec.recipe.model, spec.policy, spec.prune_rate, spec.recipe.epochs) for spec in specs]
    assert rows[:15] == expected
    plain = [("short", 0.7, 200), ("full", 0.0, 200), ("full", 0.0, 60)]
    assert rows[15:18] == [("resnet18", *row) for row in plain]
    assert {(spec.recipe.model, spec.recipe.optimizer, spec.recipe.precision, spec.anneal) for spec in specs} == {
        ("resnet18", "sgd", "bfloat16", 0.125), ("resnet50", "lars", "bfloat16", 0.125)
    }  # fmt: skip
    assert [spec.seed for spec in specs] == sorted(spec.seed for spec in specs)


def entry(mode, images, losses=(4.0, 3.0, 2.0), **more):
    return {"mode": mode, "images_per_second": images, "losses": list(losses), "seconds_before": 5.0} | more


def test_a_mode_is_chosen_by_speed_if_its_losses_are_the_plain_loop_s(tmp_path):
    record = Record(tmp_path / "speed.json")
    modes = ("plain", "graph", "compile-graph", "compile")
    assert speed.choice(record, "resnet18", modes) is None
    record.put("loop resnet18, plain", entry("plain", 100.0))
    record.put("loop resnet18, graph", entry("graph", 300.0, (4.05, 3.05, 1.98)))
    record.put("loop resnet18, compile-graph", entry("compile-graph", 900.0, (4.0, 4.0, 4.0)))
    record.put("loop resnet18, compile", {"error": "it fell over", "tries": 1})
    assert speed.choice(record, "resnet18", modes) == ("graph", 1, 300.0, 5.0)
    record.put("loop resnet18, graph, 2 at once", entry("graph", 350.0, jobs=2))
    record.put("loop resnet18, graph, 4 at once", entry("graph", 320.0, jobs=4))
    assert speed.choice(record, "resnet18", modes) == ("graph", 2, 350.0, 5.0)
    assert speed.choice(record, "resnet18", ("plain",)) == ("plain", 1, 100.0, 5.0)


def test_a_mode_that_takes_long_to_start_must_make_up_for_it(tmp_path):
    record, modes = Record(tmp_path / "speed.json"), ("plain", "graph", "compile-graph")
    record.put("loop resnet18, plain", entry("plain", 20_000.0))
    record.put("loop resnet18, graph", entry("graph", 50_000.0))  # 4 million images in 85 s
    record.put("loop resnet18, compile-graph", entry("compile-graph", 60_000.0, seconds_before=50.0))  # 117 s
    assert speed.choice(record, "resnet18", modes) == ("graph", 1, 50_000.0, 5.0)
    more = entry("compile-graph", 62_000.0, seconds_before=10.0, jobs=2)  # compiled already: 70 s
    record.put("loop resnet18, compile-graph, 2 at once", more)
    assert speed.choice(record, "resnet18", modes) == ("compile-graph", 2, 62_000.0, 50.0)


def test_what_cannot_end_is_not_begun(tmp_path, monkeypatch):
    sizes = Sizes()
    specs = headline.queue(sizes, None)
    estimate = Estimate({"resnet18": speed.Choice("graph", 1, 50_000.0, 5.0)}, sizes)
    pruned = estimate.seconds(specs[0])
    assert pruned == pytest.approx(1.2 * (15 + 5 + (175 * 15_000 + 25 * 50_000 + 20_000) / 50_000))
    assert estimate.seconds(specs[9]) > 3 * pruned  # ResNet-50, not measured
    assert headline._next(specs, {}, estimate, pruned + 1) is specs[0]
    assert headline._next(specs, {}, estimate, pruned - 1) is specs[6]  # the same at 0.9
    assert headline._next(specs, {}, estimate, 24) is None
    estimate.learn(specs[0], 2 * pruned)
    assert headline._next(specs, {}, estimate, 2 * pruned) is not specs[0]

    monkeypatch.setattr(headline, "Child", lambda *_: pytest.fail("a run was begun"))
    comparison = Comparison(specs, tmp_path)
    assert headline.work_off(comparison, estimate, tmp_path, "cuda", "", 5.0, lambda event: None) == []


def test_a_run_that_fails_is_tried_once_more_as_it_comes(tmp_path):
    specs = headline.queue(dataclasses.replace(REHEARSAL, policies=("random",)), str(tmp_path))[:1]
    events = []
    comparison = Comparison(specs, tmp_path)
    estimate = Estimate({"resnet8-slim": speed.Choice("graph", 1, 1e6, 0.0)}, REHEARSAL)
    failed = headline.work_off(comparison, estimate, tmp_path, "cpu", "", 60.0, events.append)
    assert [event.split(":")[0] for event in failed] == [specs[0].run_id] * 2
    assert all("DataError" in event and "cifar-100-python" in event for event in failed)  # there is no data here
    assert ["(graph)" in event or "(plain)" in event for event in events] == [True, False, True, False]


def test_measurements_that_fail_are_recorded_and_tried_twice(tmp_path, monkeypatch):
    record = Record(tmp_path / "speed.json")
    items = [speed.Item("crash", 0, 30, os._exit, (3,)), speed.Item("hang", 0, 0.5, time.sleep, (60,)),
             speed.Item("long", 1000, 1000, time.sleep, (0,)), speed.Item("good", 0, 30, dict, ())]  # fmt: skip
    monkeypatch.setattr(speed, "_items", lambda *_: iter(items))
    for tries in (1, 2, 2):
        left_out = speed.measure(record, "cpu", REHEARSAL, ("plain",), 100, MACHINE)
        assert record["crash"] == record["crash"] | {"error": "the process ended with code 3", "tries": tries}
        assert record["hang"]["error"].startswith("not finished after")
        assert "long: would not end in the" in " ".join(left_out)
        assert record["good"]["machine"] == MACHINE
    assert Record(tmp_path / "speed.json").entries == record.entries


def one_fails(folder, together):
    (folder / "first").touch(exist_ok=False)
    together.wait()


def test_a_copy_that_fails_is_not_waited_for_by_the_others(tmp_path, monkeypatch):
    record = Record(tmp_path / "speed.json")
    items = [speed.Item("two at once", 0, 60, one_fails, (tmp_path,), 2)]
    monkeypatch.setattr(speed, "_items", lambda *_: iter(items))
    speed.measure(record, "cpu", REHEARSAL, ("plain",), 100, MACHINE)
    assert record["two at once"]["error"].startswith("FileExistsError")
    assert record["two at once"]["seconds"] < 30


def test_a_test_that_ends_its_process_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    path = tmp_path / "test_made.py"
    path.write_text(
        "import os\ndef test_first(): pass\ndef test_crash(): os._exit(9)\n"
        "def test_wrong(): assert 1 == 2\ndef test_last(): pass\n"
    )
    out, calls = tmp_path / "correctness.json", [[str(path), "-c", os.devnull, "--rootdir", str(tmp_path)]]
    assert check(out, calls, 300) == {"passed": 2, "failed": 2}
    found = {name.split("::")[1]: outcome for name, outcome in Record(out).entries.items()}
    assert found["test_first"] == found["test_last"] == "passed"
    assert found["test_crash"]["message"] == "the process ended with code 9"
    assert found["test_wrong"]["message"].startswith("assert 1 == 2")
    path.write_text(path.read_text().replace("os._exit(9)", "pass").replace("1 == 2", "True"))
    assert check(out, calls, 300) == {"passed": 4}  # those that failed are run again
    other = tmp_path / "test_other.py"
    other.write_text("import nothing_of_this_name\n")
    assert check(out, [*calls, [str(other)]], 300) == {"passed": 4, "failed": 1}


def test_a_test_that_ended_the_last_process_is_run_again_by_the_next_call(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    path = tmp_path / "test_made.py"
    path.write_text("import os\ndef test_first(): pass\ndef test_crash(): os._exit(9)\n")
    out, calls = tmp_path / "correctness.json", [[str(path), "-c", os.devnull, "--rootdir", str(tmp_path)]]
    assert check(out, calls, 300) == {"passed": 1, "failed": 1}
    path.write_text(path.read_text().replace("os._exit(9)", "pass"))
    assert check(out, calls, 300) == {"passed": 2}
    record = Record(out)
    complete = record.entries.popitem()
    assert complete[1] == "complete"
    record.save()  # as a kill leaves it before the call of pytest is marked
    assert check(out, calls, 300) == {"passed": 2}
    assert Record(out).entries == record.entries | dict([complete])


def test_nothing_begins_where_the_figures_cannot_be_written(script, tmp_path):
    command, environment = script
    (tmp_path / "out").touch()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout.startswith("Nothing can begin: ")
    assert str(tmp_path / "out") in done.stdout


def test_a_machine_without_pytest_can_begin():
    code = "import sys; sys.modules['pytest'] = None; import accelerator.call"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "benchmarks", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_losses_of_a_loop_that_does_not_train_do_not_agree():
    case = loop.Case("resnet8-slim", "plain", "cpu", 2000, 20, "float32", 0.1)
    found = call(loop.images_per_second, case, seconds=60).value
    assert found["losses"][-1] < 0.9 * found["losses"][0]
    assert loop.agree(found["losses"], found["losses"])
    assert not loop.agree([found["losses"][0]] * 3, found["losses"])
