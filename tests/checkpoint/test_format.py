"""The file's format: what it holds, and that no other file and no damaged one is taken for a state."""

from __future__ import annotations

import io
import json
import pickle
import random
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from states import names, same, simple, trained

from emprune import EmpruneError, StateError
from emprune.checkpoint import format as file_format
from emprune.checkpoint import load_state, save_state


def bytes_of(state: dict[str, Any], folder: Path) -> bytes:
    return save_state(folder / "bytes.state", state).read_bytes()


def test_all_that_a_state_may_hold(tmp_path: Path) -> None:
    bits = torch.arange(-8, 8, dtype=torch.int32).view(torch.float32)  # NaNs with payloads among them
    state = {
        "flags": torch.tensor([True, False]), "none": torch.empty(0, dtype=torch.int64), "one": torch.tensor(2.5),
        "half": torch.ones(3, dtype=torch.bfloat16), "bits": bits, "columns": torch.arange(6).reshape(2, 3).T,
        "blake2b": torch.zeros(1), "ü": {"a": [1, None, True, 0.1, "ü\"\n"], "huge": 2**70, "inf": float("inf")},
        "text": '"blake2b":"' + "0" * 64 + '"', "state": "", "": {},
    }  # fmt: skip
    loaded = load_state(save_state(tmp_path / "x", state))
    assert same(
        {name: v for name, v in loaded.items() if name != "half"}, {n: v for n, v in state.items() if n != "half"}
    )
    assert torch.equal(loaded["half"], state["half"])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"tuple": (1, 2)}, "tuple, a tuple; allowed: tensors at the top"),
        ({"a": {"b": [0, {1}]}}, r"a.b\[1\], a set"),
        ({"a": {1: 2}}, "a, a dict"),
        ({"a": {"inside": torch.zeros(2)}}, "a.inside, a Tensor"),
        ({"a": np.datetime64("2020-01-01")}, "a, a date"),
        ({"a": np.zeros(2)}, "a, a ndarray"),
        ({3: 4}, "the key 3"),
        ({"__metadata__": torch.zeros(1)}, "the key '__metadata__'"),
        ({"a": torch.zeros(1, dtype=torch.complex128)}, "safetensors does not hold this state: .*complex128"),
    ],
)
def test_what_would_not_come_back_is_refused(part: dict[Any, Any], message: str, tmp_path: Path) -> None:
    path = save_state(tmp_path / "run.state", simple())
    with pytest.raises(StateError, match=message):
        save_state(path, {**simple(2.0), **part})
    assert same(load_state(path), simple())
    assert names(tmp_path) == ["run.state"]


def test_numpys_scalars_become_pythons(tmp_path: Path) -> None:
    given = {"a": np.float64(0.1), "b": [np.int32(3), {"c": np.bool_(True)}], "d": np.str_("text"), "e": np.float32(1)}
    loaded = load_state(save_state(tmp_path / "x", given))
    assert repr(loaded) == repr({"a": 0.1, "b": [3, {"c": True}], "d": "text", "e": 1.0})


class Tied(torch.nn.Module):
    """A language model whose head is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(50, 8), torch.nn.Linear(8, 50, bias=False)
        self.head.weight = self.embed.weight


def test_tied_weights_are_written_once_and_come_back_tied(tmp_path: Path) -> None:
    model, pruner = Tied(), trained("infobatch")
    state = {**pruner.state_dict(), **{f"model.{name}": value for name, value in model.state_dict().items()}}
    path = save_state(tmp_path / "both.state", state)
    alone = save_state(tmp_path / "alone.state", pruner.state_dict())
    assert path.stat().st_size - alone.stat().st_size < 1.5 * 50 * 8 * 4
    loaded = load_state(path)
    assert sorted(loaded) == sorted(state)
    assert loaded["model.head.weight"] is loaded["model.embed.weight"]
    assert torch.equal(loaded["model.head.weight"], model.embed.weight)
    other = Tied()
    other.load_state_dict({name.removeprefix("model."): loaded[name] for name in loaded if name.startswith("model.")})
    assert torch.equal(other.head.weight, model.embed.weight)
    for version in (b'"version":"1"', b'"version":"2"'):
        assert (version in path.read_bytes()) == (version == b'"version":"2"')
        assert (version in alone.read_bytes()) == (version == b'"version":"1"')


def test_tensors_that_overlap_come_back_as_they_are(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    state = {
        "all": base, "part": base[3:7], "rows": base.view(3, 4), "turned": base.view(3, 4).T, "again": base[3:7],
        "whole numbers": base.view(torch.int32), "empty": base[:0], "empty too": base[:0],
    }  # fmt: skip
    loaded = load_state(save_state(tmp_path / "x", state))
    assert sorted(loaded) == sorted(state)
    for name, value in state.items():
        assert torch.equal(loaded[name], value), name
        assert loaded[name].dtype == value.dtype


def test_any_reader_of_safetensors_reads_it(tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(save_state(tmp_path / "x", simple()), framework="numpy") as file:
        assert file.get_tensor("table.loss").tolist() == [1.0] * 50
        assert json.loads(file.metadata()["state"])["counters"] == {"epoch": 2, "seconds": 0.1}


def foreign_files() -> dict[str, bytes]:
    from safetensors.torch import save

    archive, zipped = io.BytesIO(), io.BytesIO()
    torch.save(simple(), archive)
    np.savez(zipped, a=np.zeros(3))
    return {
        "nothing": b"", "one byte": b"\0", "eight bytes": b"\x02" + 7 * b"\0", "text": b"hello, world" * 9,
        "pickle": pickle.dumps({"kind": "emprune.state"}), "torch": archive.getvalue(), "npz": zipped.getvalue(),
        "plain safetensors": save({"table.loss": torch.zeros(3)}),
        "another's": save({"a": torch.zeros(3)}, {"format": "pt"}),
        "another kind": save({"a": torch.zeros(3)}, {"kind": "emprune.epoch.plan"}),
        "no digest": save({"a": torch.zeros(3)}, {"kind": "emprune.state", "version": "1", "state": "{}"}),
        "huge header": (2**62).to_bytes(8, "little") + b"{}" * 20, "json list": b"\x02" + 7 * b"\0" + b"[]",
        "deep": (4000).to_bytes(8, "little") + b"[" * 4000, "long number": (6000).to_bytes(8, "little") + b"1" * 6000,
    }  # fmt: skip


@pytest.mark.parametrize("name", foreign_files())
def test_foreign_files_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(foreign_files()[name])
    with pytest.raises(StateError, match=r"other is no state that emprune saved.*allowed: a file written by emprune"):
        load_state(path)


def test_a_later_version_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(file_format, "VERSION", 3)
        save_state(tmp_path / "x", simple())
    with pytest.raises(StateError, match=r"x has version '3'; this emprune reads versions 1 and 2. Update emprune"):
        load_state(tmp_path / "x")


def test_a_missing_safetensors_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_state(tmp_path / "x", simple())
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for use in (lambda: save_state(path, simple()), lambda: load_state(path)):
        with pytest.raises(EmpruneError, match=r"needs the package safetensors, .*pip install safetensors"):
            use()


def damage(rng: random.Random, data: bytes) -> bytes:
    """The file with a fault of a random kind."""
    size, kind = len(data), rng.randrange(9)
    at, length = rng.randrange(size), rng.choice([1, 2, 8, 64, 300])
    part = data[at : at + length]
    if rng.random() < 0.3:
        at = rng.randrange(400)  # the head, where the lengths and offsets are
    changed = bytearray(data)
    if kind == 0:  # cut short
        return data[:at]
    if kind == 1:  # bits flipped
        for _ in range(rng.choice([1, 1, 1, 3])):
            changed[rng.randrange(size) if rng.random() < 0.5 else at] ^= 1 << rng.randrange(8)
    elif kind == 2:  # bytes added
        changed[at:at] = rng.choice([rng.randbytes(length), bytes(length), b" " * length, part])
    elif kind == 3:  # bytes lost
        del changed[at : at + length]
    elif kind == 4:  # two blocks swapped
        other = rng.randrange(size)
        changed[at : at + length], changed[other : other + length] = (
            data[other : other + length],
            data[at : at + length],
        )
    elif kind == 5:  # a block zeroed, as after a power cut
        changed[at : at + length] = bytes(len(changed[at : at + length]))
    elif kind == 6:  # another header length
        changed[:8] = rng.choice([rng.randbytes(8), (size - 8).to_bytes(8, "little"), (2**63).to_bytes(8, "little")])
    elif kind == 7:  # a digit changed: a version, a shape, an offset, a counter
        digits = [i for i in range(8, size) if chr(data[i]).isdigit()]
        changed[rng.choice(digits)] = ord(rng.choice("0123456789"))
    else:  # the middle of another file
        changed[at : at + length] = rng.choice(FOREIGN)[:length]
    return bytes(changed)


FOREIGN = list(foreign_files().values())


def test_ten_thousand_mutations_are_refused(tmp_path: Path) -> None:
    state = trained("infobatch", size=40).state_dict()
    data, rng, identities = bytes_of(state, tmp_path), random.Random(4), 0
    for _ in range(10_000):
        mutated = damage(rng, data)
        if mutated == data:
            assert same(file_format.read_bytes(mutated, "mutated"), state)
            identities += 1
        else:
            with pytest.raises(StateError, match=r"^mutated "):
                file_format.read_bytes(mutated, "mutated")
    assert 0 < identities < 1000


def test_mutations_with_the_right_digest_raise_nothing_else(tmp_path: Path) -> None:
    data, rng, refused = bytes_of(simple(), tmp_path), random.Random(5), 0
    for _ in range(2_000):
        try:
            assert isinstance(file_format.read_bytes(with_digest(damage(rng, data)), "mutated"), dict)
        except StateError:
            refused += 1
    assert 500 < refused < 2_000


def with_digest(data: bytes) -> bytes:
    """The file with its digest made right, as nobody but an attacker would."""
    place = file_format._DIGEST.search(data)
    if not place:
        return data
    zeroed = data[: place.start(1)] + b"0" * 64 + data[place.end(1) :]
    digest = file_format._blake2b()
    digest.update(zeroed)
    return zeroed[: place.start(1)] + digest.hexdigest().encode() + zeroed[place.end(1) :]


def test_no_length_in_a_damaged_file_is_believed(tmp_path: Path) -> None:
    data = bytes_of(simple(), tmp_path)
    claims = [claim.to_bytes(8, "little") + data[8:] for claim in (2**32, 2**40, 2**63 - 1, 2**64 - 1)]
    claims += [
        with_digest(data.replace(b"[50]", shape)) for shape in (b"[9999999999999]", b"[-1]", b"[5,10]", b"[1e30]")
    ]
    claims += [
        with_digest(data.replace(b"[0,200]", ends)) for ends in (b"[0,2000000000000]", b"[200,0]", b"[-200,200]")
    ]
    tracemalloc.start()
    for claim in claims:
        with pytest.raises(StateError):
            file_format.read_bytes(claim, "claim")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
