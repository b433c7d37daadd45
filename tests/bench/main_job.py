"""Benchmark of the main job: citizen events from the topic into the warehouse, beside the limit of the same machine.

Alternates, in one run on one engine: ``limit`` (consume, decode, COPY into a staging table, nothing else) and
``whole_job`` (a real ``hub worker``: checks, claims, records, conflicts, audit, offsets). The clock runs from the
moment the worker has its partitions; rows are counted in the database. Run with ``make bench``.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.support.ground import CONSUMED, PLACED, WORKER, Ground, Warehouse, peak_memory_mb
from tests.bench.support.job import alternated, medians
from tests.bench.support.measured import arguments_of, keep, progress, show

TARGETS = {"whole_job_vs_limit": ">= 0.40", "whole_job_vs_before": ""}


@dataclass(frozen=True, slots=True)
class Job:
    """A command, and the checkout it is of; None: this one."""

    command: Sequence[str]
    checkout: Path | None = None


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument(
        "--against", type=Path, help="another checkout, whose whole job runs in turn with this one's"
    )
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        ground.fill(options.events)
        runs = run(ground, options)
    rates = medians(runs)
    ratios = {"whole_job_vs_limit": rates["whole_job"] / rates["limit"]}
    if options.against:
        ratios["whole_job_vs_before"] = rates["whole_job"] / rates["whole_job_before"]
    found = {"events": options.events, "partitions": options.partitions, "runs": runs, "ratios": ratios}
    keep("main_job", found, options.results)
    show(found, table_of(runs, ratios), options.json)


def run(ground: Ground, options: Namespace) -> dict[str, Any]:
    """Alternate the jobs, each on a database of its own."""
    jobs = {"limit": Job((sys.executable, "-m", "tests.bench.copy_limit")), "whole_job": Job(WORKER)}
    if options.against:
        jobs["whole_job_before"] = Job(WORKER, options.against.resolve())

    def run_one(name: str, number: int) -> dict[str, Any]:
        warehouse = ground.warehouse(f"bench_{name}_{number}", jobs[name].checkout)
        found = run_job(ground, warehouse, jobs[name], options.events)
        progress.print(f"{name:>16} {number + 1}/{options.rounds}: {found['events_per_s']:>9,.0f} events/s")
        ground.drop(warehouse)
        return found

    return alternated(list(jobs), options.rounds, run_one)


def run_job(ground: Ground, warehouse: Warehouse, job: Job, events: int) -> dict[str, Any]:
    """Run one job until the warehouse says that every event is consumed."""
    running = ground.start(warehouse.name, job.command, warehouse.environment, job.checkout)
    try:
        began = warehouse.wait(PLACED, 1, running)
        seconds = warehouse.wait(CONSUMED, events, running) - began
        memory_mb = peak_memory_mb(running.process.pid)
    finally:
        running.stop()
    tables = ("citizen_person_claim", "citizen_person_record", "audit", "batch")
    rows = {name: warehouse.value(f"SELECT count(*) FROM {name}") for name in tables}
    return {"seconds": seconds, "events_per_s": events / seconds, "peak_memory_mb": memory_mb, **rows}


def table_of(runs: dict[str, list[dict[str, Any]]], ratios: dict[str, float]) -> list[tuple[str, str, str]]:
    """Return the figures as rows."""
    rows = []
    for name, of in runs.items():
        rates = sorted(one["events_per_s"] for one in of)
        memory = max(one["peak_memory_mb"] for one in of)
        middle = medians({name: of})[name]
        said = f"{rates[0]:,.0f} / {middle:,.0f} / {rates[-1]:,.0f} events/s, {memory:,.0f} MB"
        rows.append((f"{name}, least / median / most", said, ""))
    return rows + [(name, f"{ratio:.2f}", TARGETS[name]) for name, ratio in ratios.items()]


if __name__ == "__main__":
    main()
