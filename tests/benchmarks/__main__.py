"""Run the benchmarks: print a table to read, write a JSON file to compare."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from fexp import __version__
from tests.benchmarks import buckets, bursts, features, instructions, latency, looks, oneshots, parity, standing, width
from tests.benchmarks.bench import bench, is_ram_disk
from tests.benchmarks.processes import BenchmarkError
from tests.benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tests.benchmarks.bench import Bench

GROUPS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "latency": latency.rows,
    "burst": bursts.rows,
    "oneshot": oneshots.rows,
    "resident": oneshots.resident_rows,
    "move": looks.move_rows,
    "instructions": instructions.rows,
    "look": looks.rows,
    "idle": standing.idle_rows,
    "scrape": standing.rows,
    "buckets": buckets.rows,
    "width": width.rows,
    "features": features.rows,
    "parity": parity.rows,
}
"""In the order in which they run: the big tree is made for look, idle, scrape and buckets and only grows."""
_VERDICTS = {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}


def _text(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f} {unit}".strip()


def _table(rows: list[Row], before: dict[tuple[str, str], float]) -> Table:
    table = Table(
        title=f"fexp beside its peers, in one run; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        show_lines=False,
    )
    numbers = {"fexp", "its figure", "ratio", "before"}
    for heading in (
        "what",
        "fexp",
        "peer",
        "its figure",
        "ratio",
        "goal",
        "met",
        "note",
        *(["before"] if before else []),
    ):
        table.add_column(heading, overflow="fold", justify="right" if heading in numbers else "left")
    for row in rows:
        table.add_row(
            row.what,
            _text(row.figure, row.unit),
            row.peer,
            _text(row.peer_figure, row.unit),
            _text(row.ratio),
            row.goal,
            _VERDICTS[row.met],
            row.note,
            *([_text(before.get((row.what, row.peer)), row.unit)] if before else []),
        )
    return table


def _document(rows: list[Row], *, quick: bool, seconds: float) -> dict[str, object]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "fexp": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "ram_disk": is_ram_disk(),
        "load_average": os.getloadavg()[0],
        "quick": quick,
        "seconds": round(seconds, 1),
        "rows": [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows],
    }


def _figures(path: str) -> dict[tuple[str, str], float]:
    """Return fexp's figures of an earlier run."""
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    return {(row["what"], row["peer"]): row["figure"] for row in rows if row["figure"] is not None}


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def main() -> int:
    """Run what was asked for. The exit status tells of wrong numbers and of failures, never of a time."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    named = ", ".join(GROUPS)
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="NAME", help=f"run only these: {named}")
    parser.add_argument("--quick", action="store_true", help="smaller and rougher, in about two minutes")
    where = os.path.join(tempfile.gettempdir(), "fexp-benchmarks.json")
    parser.add_argument("--json", metavar="FILE", default=where, help="where to write the figures [%(default)s]")
    parser.add_argument("--against", metavar="FILE", help="show the figures of an earlier run beside these")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _give_up)  # so that trees and processes are cleaned up all the same
    console = Console(width=None if sys.stdout.isatty() else 220)
    rows: list[Row] = []
    failures = 0
    began = time.monotonic()
    with bench(quick=options.quick) as place:
        for name in options.only or GROUPS:
            group_began = time.monotonic()
            try:
                rows.extend(GROUPS[name](place))
            except (BenchmarkError, OSError, subprocess.SubprocessError) as error:
                failures += 1
                rows.append(Row(f"{name} FAILED", None, "", right=False, note=str(error)))
            print(f"{name}: {time.monotonic() - group_began:.0f} s", file=sys.stderr)
    console.print(_table(rows, _figures(options.against) if options.against else {}))
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(
            _document(rows, quick=options.quick, seconds=time.monotonic() - began),
            file,
            indent=1,
            ensure_ascii=False,
        )
        file.write("\n")
    console.print(f"{options.json}: the same to compare; {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
