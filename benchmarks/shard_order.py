"""Shards on local disk read under a plan: a plain pruned order against a block-wise one, and against a pruned stream.

Data: Fashion-MNIST's 60,000 training images, 784 bytes each, in shards. One epoch is read by one process without
workers, and no network is trained (the loss is a number that follows from the label), so that a second is one of
reading, collating and selecting.

MosaicML StreamingDataset: shards lie compressed (zstd) in a "remote" folder of the same disk, and the cache takes so
many shards as the option says, as where the data do not fit the local disk. A shard is fetched whenever it is not in
the cache: copied, decompressed, and another one evicted. Its reader opens the file for every sample.
Hugging Face: parquet files of one row group each, as a stream; and the same rows in memory-mapped Arrow files, which
can be asked for samples.
"openings" are those of a reader that holds AT_ONCE shards, the least recently used one closed first; files opened are
those that Python opened.

Needs ``pip install mosaicml-streaming datasets``; torchvision is not needed: nothing here uses what asks for it.

Run:    python benchmarks/shard_order.py [--prune-rate 0.7] [--cache 12] [--data-dir DIR] [--size 60000]
Prints one JSON object; exits with 1 where a way trained another part than asked for.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import sys
import tempfile
import time
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe
from torch.utils.data import DataLoader, Dataset

from emprune import BatchPruner, Blocks, PrunedLoader, Pruner
from emprune_lab import data as lab_data

BATCH = 128
SHARD = 256 * 1024  # bytes
AT_ONCE = 8
OPENED: list[str] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prune-rate", type=float, default=0.7)
    parser.add_argument("--cache", type=int, default=12, help="shards that the cache of the local disk takes")
    parser.add_argument("--size", type=int, default=60_000)
    parser.add_argument("--data-dir")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.addaudithook(lambda event, found: OPENED.append(str(found[0])) if event == "open" else None)
    images = lab_data.load("fashion-mnist", options.data_dir)
    pixels, labels = images.images.flatten(1).numpy()[: options.size], images.labels.numpy()[: options.size]
    with tempfile.TemporaryDirectory() as folder:
        mosaic = of_mosaic(pixels, labels, Path(folder), options.prune_rate, options.cache)
        hugging = of_hugging_face(pixels, labels, Path(folder), options.prune_rate)
    found = {
        "machine": describe(), "options": vars(options), "samples": len(labels), "batch": BATCH, "at_once": AT_ONCE,
        "versions": {name: importlib.metadata.version(name) for name in ("mosaicml-streaming", "datasets")},
        "mosaicml": mosaic, "hugging face": hugging,
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    rows = [*mosaic["ways"].values(), *hugging["ways"].values()]
    exact = {len(labels) - round(options.prune_rate * len(labels))}
    # MosaicML's own stream repeats a few samples, so that workers and ranks get as many each.
    return int(any(row["trained"] not in exact | {round((1 - options.prune_rate) * row["read"])} for row in rows))


def of_mosaic(pixels: np.ndarray, labels: np.ndarray, folder: Path, rate: float, cache: int) -> dict[str, Any]:
    """Every way to read an epoch of a StreamingDataset."""
    streaming = imported_streaming()
    remote = folder / "mds"
    columns = {"image": "bytes", "label": "int"}
    with streaming.MDSWriter(out=str(remote), columns=columns, compression="zstd", size_limit=SHARD) as writer:
        for image, label in zip(pixels, labels.tolist(), strict=True):
            writer.write({"image": image.tobytes(), "label": label})

    def opened(name: str, limit: int | None, **more: Any) -> tuple[Any, list[int]]:
        dataset = streaming.StreamingDataset(
            local=str(folder / name), remote=str(remote), cache_limit=limit and limit * (SHARD + SHARD), **more
        )  # its limit counts a shard's compressed form as well, while that is unpacked
        stream, fetched = dataset.streams[0], []
        prepare = stream.prepare_shard

        def prepared(shard: Any) -> int:
            fetched.append(1)
            return int(prepare(shard))

        stream.prepare_shard = prepared
        return dataset, fetched

    rows = {}
    orders: dict[str, Callable[[Any], Any]] = {
        "plain order": lambda sizes: None, "blocks": lambda sizes: Blocks(sizes, at_once=AT_ONCE)
    }  # fmt: skip
    for limit in (cache, None):
        for name, order in orders.items():
            where = f"{name}, {'all cached' if limit is None else f'cache of {limit} shards'}"
            dataset, fetched = opened(where, limit)
            sizes = np.asarray(dataset.samples_per_shard)
            pruner = Pruner(len(labels), "emp", prune_rate=rate, num_epochs=1, order=order(sizes))
            loader = PrunedLoader(dataset, pruner, BATCH, collate_fn=of_bytes)
            rows[where] = measured(lambda loader=loader, pruner=pruner: by_plan(loader, pruner), ".mds")
            rows[where] |= {"fetched": len(fetched), "openings": openings(pruner, sizes)}
    large = round(BATCH / (1 - rate))
    dataset, fetched = opened(
        "stream", None, batch_size=large, shuffle=True, shuffle_algo="py1s", predownload=4 * large
    )
    loader = DataLoader(dataset, batch_size=large, collate_fn=of_bytes)
    rows["BatchPruner on its stream"] = measured(lambda: by_stream(loader, rate), ".mds") | {"fetched": len(fetched)}
    return {"shards": len(dataset.shards), "ways": rows}


def of_hugging_face(pixels: np.ndarray, labels: np.ndarray, folder: Path, rate: float) -> dict[str, Any]:
    """Every way to read an epoch of the same rows in Hugging Face's formats."""
    import datasets

    per_file = SHARD // pixels.shape[1]
    parquet, arrow, sizes = [], [], []
    for begin in range(0, len(labels), per_file):
        part = {"image": [image.tobytes() for image in pixels[begin : begin + per_file]],
                "label": labels[begin : begin + per_file]}  # fmt: skip
        rows = datasets.Dataset.from_dict(part)
        parquet.append(str(folder / f"{begin:06d}.parquet"))
        rows.to_parquet(parquet[-1])
        rows.save_to_disk(str(folder / f"arrow-{begin:06d}"))
        arrow.append(datasets.load_from_disk(str(folder / f"arrow-{begin:06d}")))
        sizes.append(len(rows))
    mapped, found = datasets.concatenate_datasets(arrow), {}
    for name, order in (("plain order", None), ("blocks", Blocks(sizes, at_once=AT_ONCE))):
        pruner = Pruner(len(labels), "emp", prune_rate=rate, num_epochs=1, order=order)
        loader = PrunedLoader(mapped, pruner, BATCH, collate_fn=of_bytes)
        found[f"{name}, memory-mapped Arrow"] = measured(
            lambda loader=loader, pruner=pruner: by_plan(loader, pruner), ".arrow"
        ) | {"openings": openings(pruner, np.array(sizes))}
    stream = datasets.load_dataset(
        "parquet", data_files=parquet, split="train", streaming=True, cache_dir=str(folder / "cache")
    ).shuffle(seed=0, buffer_size=AT_ONCE * per_file)
    loader = DataLoader(stream, batch_size=round(BATCH / (1 - rate)), collate_fn=of_bytes)
    found["BatchPruner on its stream"] = measured(lambda: by_stream(loader, rate), ".parquet")
    return {"shards": len(sizes), "ways": found}


def by_plan(loader: Iterable[Any], pruner: Pruner) -> tuple[int, int]:
    """Samples trained and read in an epoch of a plan."""
    for _ in pruner.epochs():
        for ids, (_, labels) in loader:
            loss = loss_of(labels)
            pruner.loss(ids, loss, loss.detach())
    trained = pruner.report().samples_backward
    return trained, trained


def by_stream(loader: Iterable[Any], rate: float) -> tuple[int, int]:
    """Samples trained and read of a stream."""
    pruner = BatchPruner("emp", prune_rate=rate)
    for images, labels in loader:
        loss = loss_of(labels)
        chosen = pruner.select(loss, loss)
        assert chosen.positions is not None
        images[chosen.positions]
    return pruner.samples_backward, pruner.samples_forward


def loss_of(labels: torch.Tensor) -> torch.Tensor:
    """float32, shape [B]: stands for a network's."""
    return (1.0 + labels.float()).requires_grad_()


def of_bytes(rows: list[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 [B, 784] and int64 [B]."""
    images = np.frombuffer(b"".join(row["image"] for row in rows), dtype=np.uint8).reshape(len(rows), -1)
    return torch.from_numpy(images.copy()), torch.tensor([int(row["label"]) for row in rows])


def measured(way: Callable[[], tuple[int, int]], suffix: str) -> dict[str, Any]:
    """Samples trained and read, each a second, and how often a file of this kind was opened."""
    OPENED.clear()
    began = time.perf_counter()
    trained, read = way()
    seconds = time.perf_counter() - began
    files = sum(name.endswith(suffix) for name in OPENED)
    return {
        "trained": trained, "read": read, "seconds": round(seconds, 2), "trained a second": round(trained / seconds),
        "files opened": files,
    }  # fmt: skip


def openings(pruner: Pruner, sizes: np.ndarray) -> int:
    """Of the plan of epoch 0."""
    same = Pruner(
        pruner.num_samples, "emp", prune_rate=pruner.fingerprint["prune_rate"], num_epochs=1,
        order=Blocks(sizes, at_once=AT_ONCE) if "order" in pruner.fingerprint else None,
    )  # fmt: skip
    held: OrderedDict[int, None] = OrderedDict()
    count = 0
    for shard in Blocks(sizes).shard_of(same.plan.ids).tolist():
        count += shard not in held
        held[shard] = None
        held.move_to_end(shard)
        if len(held) > AT_ONCE:
            held.popitem(last=False)
    return count


def imported_streaming() -> Any:
    """The package ``streaming``; its vision data sets, which are not used, ask for torchvision."""
    if importlib.util.find_spec("torchvision") is not None:
        return importlib.import_module("streaming")
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    vision, transforms = sys.modules["torchvision.datasets"], sys.modules["torchvision.transforms"]
    vision.VisionDataset = Dataset
    transforms.functional = sys.modules["torchvision.transforms.functional"]
    transforms.functional.to_tensor = torch.as_tensor
    return importlib.import_module("streaming")


if __name__ == "__main__":
    sys.exit(main())
