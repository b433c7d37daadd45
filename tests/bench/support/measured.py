"""What every benchmark says of itself: commit and machine beside its figures, kept under ``tests/bench/results/``."""

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[1] / "results"
progress = Console(stderr=True, highlight=False)
"""Where a benchmark says how far it is; its figures go to standard output."""


def commit_of_checkout() -> str:
    """Return the short hash of the commit that is checked out."""
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return asked.stdout.strip() or "unknown"


def machine() -> dict[str, Any]:
    """Return what the figures depend on: cores, memory, system, and how busy others keep it."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def keep(bench: str, found: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write a benchmark's figures to a file of their own and return its path."""
    stamp = datetime.now(UTC)
    commit = commit_of_checkout()
    head = {"bench": bench, "at": stamp.isoformat(timespec="seconds"), "commit": commit, "machine": machine()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{bench.replace('_', '-')}-{stamp:%Y%m%dT%H%M}-{commit}.json"
    path.write_text(json.dumps({**head, **found}, indent=1, default=str) + "\n")
    progress.print(f"raw results: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return path


def newest(bench: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """Return the newest kept figures of a benchmark, None when there are none."""
    paths = sorted(folder.glob(f"{bench.replace('_', '-')}-2*.json"))
    return dict(json.loads(paths[-1].read_text())) if paths else None


def arguments_of(what: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the raw results")
    return parser


def put_into(document: Path, name: str, pages: str) -> None:
    """Replace what stands between a document's two marks of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = document.read_text("utf-8").partition(begin)
    document.write_text(f"{before}{begin}\n\n{pages}\n\n{end}{rest.partition(end)[2]}", "utf-8")


def show(found: Mapping[str, Any], rows: Sequence[tuple[str, str, str]], as_json: bool) -> None:
    """Print the figures: as JSON, or a table of what, how much, and what was aimed at."""
    console = Console(highlight=False)
    if as_json:
        print(json.dumps(found, indent=1, default=str))  # noqa: T201 - a program's output
        return
    table = Table("what", "measured", "target", box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)
