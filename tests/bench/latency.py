"""Benchmark of latency: from a producer's send to the row visible to another connection, and to the portal's topic.

Everything is on: a worker, share, a consumer of the portal's topic. Events are sent one by one at a steady rate by a
process of its own; another connection asks for the rows every 2 ms. The same traffic runs unmeasured for half a minute
first, in which the broker compiles its code. Also says how many events a batch held and which part of a core each
process took. Target: 2,000 events/s for 120 s, p50 under 40 ms and p99 under 250 ms to the row, p99 under 500 ms to the
portal. Run with ``python -m tests.bench.latency --seconds 120``.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tests.bench.support.events import Kind
from tests.bench.support.ground import PLACED, SHARE, WORKER, Ground, Warehouse, cpu_seconds
from tests.bench.support.measured import arguments_of, keep, progress, show

PERCENTILES = (50, 90, 99, 99.9, 100)
SETTLE_S = 3.0
WARM_UP_S = 30.0
TARGET_MS = {"row_p50": 40.0, "row_p99": 250.0, "portal_p99": 500.0}


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--rate", type=int, default=2_000)
    arguments.add_argument("--seconds", type=float, default=20.0)
    arguments.add_argument("--partitions", type=int, default=4)
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        found = run(ground, options.rate, options.seconds)
    found = {"rate": options.rate, "seconds": options.seconds, "partitions": options.partitions, **found}
    keep("latency", found, options.results)
    show(found, table_of(found), options.json)


def run(ground: Ground, rate: int, seconds: float) -> dict[str, Any]:
    """Warm up, then measure the hub."""
    warehouse = ground.warehouse("bench_latency")
    hub = {
        "worker": ground.start("worker", WORKER, warehouse.environment),
        "share": ground.start("share", SHARE, warehouse.environment),
    }
    warehouse.wait(PLACED, 1, hub["worker"])
    paced(ground, warehouse, Pace("warm", rate, WARM_UP_S, 0))
    portal_out = ground.folder / "portal.parquet"
    portal = ground.start("portal", _module("portal", "--out", str(portal_out)), warehouse.environment)
    first_batch = warehouse.value("SELECT coalesce(max(id), 0) FROM batch")
    watched = {name: [running.process.pid] for name, running in (*hub.items(), ("portal", portal))} | ground.servers()
    before = {name: sum(map(cpu_seconds, pids)) for name, pids in watched.items()}
    began = time.monotonic()
    sent, of_rows = until_visible(ground, warehouse, Pace("paced", rate, seconds, int(rate * WARM_UP_S)))
    lasted = time.monotonic() - began
    after = {name: sum(map(cpu_seconds, pids)) for name, pids in watched.items()}
    portal.stop(limit_s=seconds + 60)
    batches = warehouse.value(f"SELECT count(*) FROM batch WHERE id > {first_batch}")
    if (rows := warehouse.value("SELECT count(*) FROM audit")) != (sent_in_all := int(rate * WARM_UP_S) + sent.height):
        raise SystemExit(f"{rows:,} audit rows of {sent_in_all:,} events")
    for running in hub.values():
        running.check()
        running.stop()
    return {
        "row_ms": of_rows,
        "portal_ms": percentiles(portal_latency(sent, pl.read_parquet(portal_out))),
        "events": sent.height,
        "events_per_batch": sent.height / max(1, batches),
        "cores": {name: round((after[name] - before[name]) / lasted, 2) for name in watched},
    }


def until_visible(
    ground: Ground, warehouse: Warehouse, pace: "Pace", query: str = ""
) -> tuple[pl.DataFrame, dict[str, float]]:
    """Send at a pace to whatever job runs, and look for its rows; return what was sent, and percentiles.

    Args:
        ground: where the job runs.
        warehouse: the database in which rows appear; its environment says where Kafka is.
        pace: of the events, which go to the topic of the pace's kind.
        query: gives (partition, highest offset that is visible) of another job than the hub's, e.g. of a table that
            has columns for both.
    """
    watcher = visibility(ground, warehouse, pace.kind, query)
    time.sleep(1.0)
    sent = paced(ground, warehouse, pace)
    time.sleep(SETTLE_S)
    return sent, percentiles(row_latency(sent, watcher.stopped()))


@dataclass(frozen=True, slots=True)
class Pace:
    """A stretch of steady traffic; ``name`` is that of its files."""

    name: str
    rate: int
    seconds: float
    first_version: int
    kind: Kind = Kind.CITIZEN

    @property
    def options(self) -> tuple[str, ...]:
        """Options of ``tests.bench.traffic.paced``."""
        pace = ("--rate", str(self.rate), "--seconds", str(self.seconds), "--first-version", str(self.first_version))
        return (*pace, "--kind", self.kind.value)


def paced(ground: Ground, warehouse: Warehouse, pace: Pace) -> pl.DataFrame:
    """Produce at a steady pace; return what was sent: partition, offset, version, key, sent_ns."""
    out = ground.folder / f"{pace.name}.parquet"
    producer = ground.start(pace.name, paced_command(ground, pace), warehouse.environment)
    producer.finished(pace.seconds * 4 + 120)
    return pl.read_parquet(out)


def paced_command(ground: Ground, pace: Pace) -> tuple[str, ...]:
    """Return the command that produces at a pace."""
    out = ground.folder / f"{pace.name}.parquet"
    return _module("paced", *pace.options, "--partitions", str(ground.partitions), "--out", str(out))


@dataclass(frozen=True, slots=True)
class Watcher:
    """A connection that looks for rows."""

    running: Any
    out: Path

    def stopped(self) -> pl.DataFrame:
        """Return what it saw: partition, offset, seen_ns."""
        self.running.stop()
        return pl.read_parquet(self.out)


def visibility(ground: Ground, warehouse: Warehouse, kind: Kind, query: str = "") -> Watcher:
    """Start looking for the rows of a topic's events; ``query`` finds those of another job than the hub's."""
    out = ground.folder / f"seen_{kind.value}.parquet"
    command = _module("visibility", "--topic", kind.topic, "--out", str(out), *(("--query", query) if query else ()))
    return Watcher(ground.start(f"seen_{kind.value}", command, warehouse.environment), out)


def _module(name: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"tests.bench.traffic.{name}", *options)


def row_latency(sent: pl.DataFrame, seen: pl.DataFrame) -> pl.Series:
    """Return, for each event sent, the milliseconds until some offset at or after its own was visible."""
    joined = sent.sort("offset").join_asof(
        seen.sort("offset"), on="offset", by="partition", strategy="forward", check_sortedness=False
    )
    return _milliseconds(joined, "seen_ns")


def portal_latency(sent: pl.DataFrame, arrived: pl.DataFrame) -> pl.Series:
    """Return, for each event sent, the milliseconds until a record of its key held its version or a later one.

    Records of one key arrive in order, so the first at or after the version is the one.
    """
    joined = sent.sort("version").join_asof(
        arrived.sort("version"), on="version", by="key", strategy="forward", check_sortedness=False
    )
    return _milliseconds(joined, "arrived_ns")


def _milliseconds(joined: pl.DataFrame, until: str) -> pl.Series:
    missing = joined[until].null_count()
    if missing:
        progress.print(f"[red]{missing:,} of {joined.height:,} events were never seen[/red]")
    return joined.select((pl.col(until) - pl.col("sent_ns")) / 1e6).to_series().drop_nulls()


def percentiles(latency: pl.Series) -> dict[str, float]:
    """Return percentiles and how many events they are of."""
    found = {f"p{share:g}": round(float(latency.quantile(share / 100) or 0), 1) for share in PERCENTILES}
    return {"events": latency.len(), **found}


def table_of(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the figures as rows."""
    rows = [
        (
            f"{what} {name}, ms",
            f"{value:,.1f}",
            f"< {TARGET_MS[key]:.0f}" if (key := f"{what}_{name}") in TARGET_MS else "",
        )
        for what in ("row", "portal")
        for name, value in found[f"{what}_ms"].items()
        if name != "events"
    ]
    rows.append(("events per batch", f"{found['events_per_batch']:.0f}", ""))
    return rows + [(f"cores: {name}", f"{used:.2f}", "") for name, used in found["cores"].items()]


if __name__ == "__main__":
    main()
