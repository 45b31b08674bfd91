"""Memory of the score table: bytes a sample, as the table counts them and as the allocator does.

Measured: ScoreTable.nbytes / N, and the growth of traced allocations (tracemalloc, which numpy reports to)
while the table is built and after a whole epoch has been written to it. Target: at most 16 bytes a sample.

Run:    python benchmarks/table_memory.py --size 10000000
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tracemalloc

import numpy as np
from machine import describe

from emprune import ScoreTable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000_000, help="N, number of samples")
    size = parser.parse_args().size
    tracemalloc.start()
    table = ScoreTable(size)
    built, _ = tracemalloc.get_traced_memory()
    ids = np.arange(size)
    table.record(ids, np.ones(size, np.float32), np.ones(size, np.float32), 0, np.ones(size, dtype=bool))
    del ids
    written, _ = tracemalloc.get_traced_memory()
    print(
        json.dumps(
            {
                "benchmark": "table_memory",
                "size": size,
                "bytes_per_sample": table.nbytes / size,
                "traced_bytes_per_sample_built": round(built / size, 3),
                "traced_bytes_per_sample_after_an_epoch": round(written / size, 3),
                "machine": describe(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
