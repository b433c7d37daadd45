"""Benchmark of the main job: citizen events from the topic into the warehouse, beside the limit of the same machine.

Alternates, in one run on one engine: ``limit`` (consume, decode, COPY into a staging table, nothing else) and
``whole_job`` (a real ``hub worker``: checks, claims, records, conflicts, audit, offsets). Rows are counted in the
database. Prints a table, keeps the raw figures under ``tests/bench/results/``. Run with ``make bench``.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from hub.config import Settings
from hub.embedded.engine import Engine as Embedded
from hub.embedded.locate import Endpoints
from hub.operate.topics import create_topics
from hub.topology import topics
from hub.warehouse.database import open_database
from tests.bench.events import TOPIC, fill

RESULTS = Path(__file__).parent / "results"
SOURCE = "dancu"
console = Console()


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument(
        "--against", type=Path, help="another checkout, whose whole job runs in turn with this one's"
    )
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    settings = Settings(data_dir=folder, partitions=options.partitions)
    embedded = Embedded(settings)
    try:
        places = embedded.up(lambda line: console.print(f"  {line}"))
        create_topics(places.bootstrap, topics(options.partitions), replication=1)
        rate = asyncio.run(fill(places.bootstrap, places.key_secret, SOURCE, options.events, options.partitions))
        console.print(f"filled {TOPIC} with {options.events:,} events at {rate:,.0f}/s")
        runs = run_rounds(embedded, places, folder, options)
    finally:
        embedded.down()
        shutil.rmtree(folder, ignore_errors=True)
    report(runs, options.events, options.partitions)


def run_rounds(
    embedded: Embedded, places: Endpoints, folder: Path, options: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Alternate the jobs, each on a database of its own."""
    worker = [sys.executable, "-m", "hub.cli", "worker"]
    jobs = {"limit": ([sys.executable, "-m", "tests.bench.copy_limit"], Path.cwd()), "whole_job": (worker, Path.cwd())}
    if options.against:
        jobs["whole_job_before"] = (worker, options.against.resolve())
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    for number in range(options.rounds):
        for name, (command, checkout) in jobs.items():
            database = f"bench_{name}_{number}"
            url = embedded.create_database(database)
            environment = {
                **os.environ,
                "HUB_KAFKA_BOOTSTRAP": places.bootstrap,
                "HUB_DATABASE_URL": url,
                "HUB_KEY_SECRET": places.key_secret,
                "HUB_DATA_DIR": str(folder / database),
                "HUB_CONSUMER_GROUP": database,
            }
            job = Job(command, checkout, environment, folder / f"{database}.log")
            run = run_job(job, url, options.events)
            runs[name].append(run)
            console.print(f"{name:>16} {number + 1}/{options.rounds}: {run['events_per_s']:>9,.0f} events/s")
            embedded.drop_database(database)
    return runs


@dataclass(frozen=True, slots=True)
class Job:
    """A command of a checkout, with its environment and where it logs to."""

    command: list[str]
    checkout: Path
    environment: Mapping[str, str]
    log: Path


def run_job(job: Job, url: str, events: int) -> dict[str, Any]:
    """Run one job until the warehouse says that every event is consumed.

    The clock runs from the moment the worker has its partitions to the moment the last event is consumed.
    """
    engine = open_database(url, "hub", "bench")
    environment = dict(job.environment)
    migrating = [sys.executable, "-m", "hub.cli", "db", "migrate"]
    subprocess.run(migrating, env=environment, cwd=job.checkout, check=True, stdout=subprocess.DEVNULL)
    with job.log.open("wb") as output:
        process = subprocess.Popen(job.command, env=environment, cwd=job.checkout, stdout=output, stderr=output)
        try:
            placed = "SELECT count(*) FROM log_partition WHERE topic LIKE 'hub.%'"
            started = wait_until(engine, process, job.log, placed, 1)
            consumed = "SELECT coalesce(sum(consumed), 0) FROM log_partition"
            ended = wait_until(engine, process, job.log, consumed, events)
            memory_mb = peak_memory_mb(process.pid)
        finally:
            process.terminate()
            process.wait(30)
    rows = warehouse_rows(engine)
    engine.dispose()
    return {"seconds": ended - started, "events_per_s": events / (ended - started), "peak_memory_mb": memory_mb, **rows}


def wait_until(engine: Engine, process: subprocess.Popen[bytes], log: Path, query: str, wanted: int) -> float:
    """Return when a count has reached what is wanted."""
    while True:
        with engine.connect() as connection:
            if connection.execute(text(query)).scalar_one() >= wanted:
                return time.monotonic()
        if process.poll() is not None:
            raise SystemExit(f"the job ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        time.sleep(0.02)


def peak_memory_mb(pid: int) -> float:
    """Return the process's peak resident memory, its children's not included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def warehouse_rows(engine: Engine) -> dict[str, int]:
    """Count what the job left in the warehouse."""
    counts = {}
    with engine.connect() as connection:
        for name in ("citizen_person_claim", "citizen_person_record", "audit", "batch"):
            counts[name] = int(connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())
    return counts


def commit_of_checkout() -> str:
    """Return the short hash of the commit that is checked out."""
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return asked.stdout.strip() or "unknown"


def report(runs: dict[str, list[dict[str, Any]]], events: int, partitions: int) -> None:
    """Print the table and keep the raw results."""
    median = {name: statistics.median(run["events_per_s"] for run in of) for name, of in runs.items()}
    table = Table("job", "min/s", "median/s", "max/s", "memory MB", box=None)
    for name, of in runs.items():
        rates = sorted(run["events_per_s"] for run in of)
        memory = max(run["peak_memory_mb"] for run in of)
        table.add_row(name, f"{rates[0]:,.0f}", f"{median[name]:,.0f}", f"{rates[-1]:,.0f}", f"{memory:,.0f}")
    console.print(table)
    ratio = median["whole_job"] / median["limit"]
    console.print(f"whole_job / limit = {ratio:.2f}")
    ratios = {"whole_job_vs_limit": ratio}
    if "whole_job_before" in median:
        ratios["whole_job_vs_before"] = median["whole_job"] / median["whole_job_before"]
        console.print(f"whole_job / whole_job_before = {ratios['whole_job_vs_before']:.2f}")
    result = {
        "bench": "main_job",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of_checkout(),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "events": events,
        "partitions": partitions,
        "runs": runs,
        "ratios": ratios,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"main-job-{datetime.now(UTC):%Y%m%dT%H%M}-{result['commit']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"raw results: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    main()
