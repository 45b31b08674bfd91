"""CIFAR folders in the official format, small, with their md5 sums made the published ones."""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from emprune_lab.data import cifar

ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01M%bM\x00\x0c\x86"
    b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
)


def py2(value):
    """The opcodes in which Python 2 pickled what the published files hold; Python 3 cannot write them."""
    if isinstance(value, dict):
        return b"}(" + b"".join(py2(key) + py2(entry) for key, entry in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(py2, value)) + b"e"
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    if isinstance(value, int):
        return b"K" + bytes([value])
    payload = value.tobytes()
    head = ARRAY.replace(b"%b", struct.pack("<H", len(value)))
    return head + b"T" + struct.pack("<I", len(payload)) + payload + b"tb"


def images(first, count):
    """[count, 3072] with image i all ``first + i``, but for its second row's first green pixel: 255."""
    pixels = np.repeat(np.arange(first, first + count, dtype=np.uint8)[:, None], 3072, 1)
    pixels[:, 1024 + 32] = 255
    return pixels


def put(folder, monkeypatch, file, content):
    """Write a file and make its md5 the published one."""
    (folder / file).write_bytes(content)
    sums = cifar.MD5 | {f"{folder.name}/{file}": hashlib.md5(content).hexdigest()}
    monkeypatch.setattr(cifar, "MD5", sums)


def put_cifar100(folder, monkeypatch, train_labels=(2, 0, 1), test_labels=(1, 2), names=("apple", "baby", "bear")):
    """A cifar-100-python folder below ``folder``, one image a label."""
    target = folder / "cifar-100-python"
    target.mkdir()
    entries = {
        "meta": {"fine_label_names": list(names), "coarse_label_names": ["fruit", "animal"]},
        "train": {"filenames": ["a", "b", "c"], "fine_labels": list(train_labels),
                  "coarse_labels": [1, 0, 1], "data": images(10, len(train_labels))},
        "test": {"fine_labels": list(test_labels), "coarse_labels": [0, 0], "data": images(20, len(test_labels))},
    }  # fmt: skip
    for file, content in entries.items():
        put(target, monkeypatch, file, b"\x80\x02" + py2(content) + b".")
    return target
