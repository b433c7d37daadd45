"""Benchmark of parking: filings merged while nothing is parked, and while 100,000 keys are.

One process prepares and commits batches as a worker does, sweep included, on one embedded PostgreSQL; two warehouses in
turn, one with parked keys and one without. Prints a table, keeps the raw figures under ``tests/bench/results/``. Run
with ``python -m tests.bench.parking``.
"""

import argparse
import json
import platform
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from hub.config import Settings
from hub.embedded.engine import Engine
from hub.intake.decode.decoder import GuardedDecoder
from tests.bench.support.measured import commit_of_checkout
from tests.support.whole_world import Whole, open_whole

RESULTS = Path(__file__).parent / "results"
KNOWN, UNKNOWN = "1.001193", "9.999999"
console = Console()


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--parked", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--batch", type=int, default=10_000)
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    embedded = Engine(Settings(data_dir=folder))
    try:
        embedded.up(lambda line: console.print(f"  {line}"))
        figures = _measure(embedded, options.parked, options.rounds, options.batch)
    finally:
        embedded.down()
        shutil.rmtree(folder, ignore_errors=True)
    _report(figures)


def _measure(embedded: Engine, parked: int, rounds: int, batch: int) -> dict[str, Any]:
    with GuardedDecoder(60.0, 4096) as decoder:
        worlds = {name: open_whole(embedded.create_database(name), decoder) for name in ("without", "with_parked")}
        for world in worlds.values():
            world.send("procedure.changed", _procedure(KNOWN))
            _file(world, "warm", batch)
        me = psutil.Process()
        before_mb = me.memory_info().rss / 1e6
        began = time.monotonic()
        for first in range(0, parked, batch):
            _file(worlds["with_parked"], f"p{first}", batch, UNKNOWN)
        parked_per_s = parked / (time.monotonic() - began)
        after_mb = me.memory_info().rss / 1e6
        rates: dict[str, list[float]] = {name: [] for name in worlds}
        for number in range(rounds):
            for name, world in worlds.items():
                rates[name].append(batch / _file(world, f"r{number}", batch))
        began = time.monotonic()
        worlds["with_parked"].send("procedure.changed", _procedure(UNKNOWN))
        released = worlds["with_parked"].release(most=20_000)
        released_per_s = released / (time.monotonic() - began)
        for world in worlds.values():
            world.engine.dispose()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "parked_keys": parked,
        "parked_per_s": parked_per_s,
        "memory_mb": {"before": before_mb, "with_parked": after_mb},
        "rates": rates,
        "medians": medians,
        "with_parked_vs_without": medians["with_parked"] / medians["without"],
        "released": released,
        "released_per_s": released_per_s,
    }


def _file(world: Whole, name: str, count: int, procedure: str = KNOWN) -> float:
    """Commit a batch of filings, a sweep after it; return the seconds they took, encoding left out."""
    events = [
        {"source_system": "dvcqg", "dossier_code": f"{name}-{number}", "procedure_code": procedure}
        for number in range(count)
    ]
    polled = world.polled("dossier.submitted", events)
    began = time.monotonic()
    world.commit(polled)
    world.store.releasable(count, thorough=False)
    return time.monotonic() - began


def _procedure(code: str) -> dict[str, Any]:
    return {"source_system": "dvcqg", "procedure_code": code, "name": "Khai sinh"}


def _report(figures: dict[str, Any]) -> None:
    stamp = datetime.now(UTC)
    commit = commit_of_checkout()
    machine = {
        "cpus": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"parking-{stamp:%Y%m%dT%H%M}-{commit}.json"
    path.write_text(
        json.dumps({"at": stamp.isoformat(), "commit": commit, "machine": machine, **figures}, indent=2) + "\n"
    )
    console.print(f"parked {figures['parked_keys']:,} keys at {figures['parked_per_s']:,.0f}/s")
    for name, rate in figures["medians"].items():
        console.print(f"{name:12} {rate:>10,.0f} filings/s (median)")
    console.print(f"with parked against without: {figures['with_parked_vs_without']:.2f}")
    console.print(
        f"memory {figures['memory_mb']['before']:.0f} MB before, {figures['memory_mb']['with_parked']:.0f} MB with them"
    )
    console.print(f"released {figures['released']:,} at {figures['released_per_s']:,.0f}/s")
    console.print(f"raw figures: {path.name}")


if __name__ == "__main__":
    main()
