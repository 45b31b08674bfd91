"""The study's command: pack its runs, then write tables, figures and summary from all studies."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from studies.map.cells import Cell, cells
from studies.map.coverage import coverage_table
from studies.map.gap import correlation_tables
from studies.map.gap_figure import gap_figure
from studies.map.lossless import lossless_table, rate_table
from studies.map.map_figure import map_figure
from studies.map.names import FIXED, GATED, POLICIES
from studies.map.page import filled
from studies.map.runs import merged, pack, write
from studies.map.sources import OWN, committed_runs, own_runs
from studies.map.summary import summary
from studies.map.summary import write as write_summary
from studies.map.tables import gain_table, speed_up_table
from studies.map.verdict import verdict_table

from emprune_lab.cli import exit_code
from emprune_lab.records.results import RESULTS_FILE, load_results
from emprune_lab.report.costs import RANDOM
from emprune_lab.report.lossless import MARGIN
from emprune_lab.report.style import png

FOLDER = Path(__file__).parent
PAGE = FOLDER / "README.md"


@dataclass(frozen=True)
class Options:
    """Write table.md, summary.json, the figures and the tables of README.md from the runs of all studies."""

    runs: Path | None = None
    """Folder of folders with a results.json each, whose runs join or replace those of runs.json first."""
    out: Path = FOLDER


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or as :func:`emprune_lab.cli.exit_code`."""
    options = tyro.cli(Options, prog="python -m studies.map", args=arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)

    def work() -> int:
        if options.runs is not None:
            paths = sorted(options.runs.glob(f"*/{RESULTS_FILE}"))
            new = pack(result for path in paths for result in load_results(path))
            write(OWN, merged(json.loads(OWN.read_text("utf-8")) if OWN.exists() else [], new))
        for path in publish(cells([*committed_runs(), *own_runs()]), options.out):
            console.print(str(path), highlight=False, soft_wrap=True)
        return 0

    return exit_code(work, "python -m studies.map")


def publish(found: Sequence[Cell], folder: Path) -> list[Path]:
    """Write everything that is made of the cells; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("table.md", "summary.json", "map.png", "gap.png", PAGE.name)]
    made = {**tables(found), "Cells run": coverage_table(own_runs())}
    paths[0].write_text(document(made), encoding="utf-8")
    write_summary(paths[1], summary(found))
    paths[2].write_bytes(png(map_figure(found)))
    paths[3].write_bytes(png(gap_figure(found)))
    paths[4].write_text(filled(PAGE.read_text("utf-8"), made), encoding="utf-8")
    return paths


def tables(found: Sequence[Cell]) -> dict[str, str]:
    """All tables by their titles."""
    kept = {policy: POLICIES.get(policy, policy) for policy in (RANDOM, "infobatch", FIXED, GATED)}
    return {
        "By policy": verdict_table(found),
        "Gain over dynamic random": gain_table(found),
        "Speed-up at equal value": speed_up_table(found),
        "Lossless rates": rate_table(found, kept),
        "Differences to full data": lossless_table(found, kept),
        "Gain and generalisation gap": correlation_tables(found, (FIXED, GATED)),
    }


def document(found: Mapping[str, str]) -> str:
    """The content of table.md, from the tables."""
    return "\n".join(f"## {title}\n\n{_NOTES[title]}\n\n{found[title]}" for title in _NOTES)


_NOTES = {
    "Cells run": "Of the grid that this study asks for: seeds, and how many of the policies, random counted.",
    "By policy": "Of the cells below, not the same for all policies. Speed-up at equal value: geometric means over "
    "settings of those over their cells, bounds taken for values.",
    "Gain over dynamic random": "Test metric in %, of text bits per character, negated so that more is better; "
    "policies minus random in percentage points (Matthews' correlation: points of 100), paired by seed, with 95 % "
    "intervals by Student's t. Bold: significantly above random; italics: below. Effective epochs: samples through "
    "backward over training samples.",
    "Speed-up at equal value": "Samples that plain training on all data needs for what the policy reaches, over the "
    "policy's own, with 95 % intervals of three seeds or more. ≥ and ≤: beyond the longest or shortest plain run. "
    "Plain training: full data, and fewer epochs of it at all lengths of the setting.",
    "Lossless rates": "The highest rate run at which the lower end of the difference to full data is above "
    f"−{MARGIN:g} points (of bits per character: of 0.02 each). Settings without a run of full data are left out.",
    "Differences to full data": "The same, with the differences to full data at each rate, paired by seed.",
    "Gain and generalisation gap": "Spearman's rank correlation over cells (their number), of EMP's gain over random "
    "in accuracy with what random's runs show. Generalisation gap: percent predicted right of the training set, minus "
    "that of the test set if its labels were wrong as often.",
}


if __name__ == "__main__":
    sys.exit(main())
