"""Benchmark of an outage: how long a worker that was away takes to catch up while live traffic goes on.

The topic of people holds what an outage left; a paced process goes on sending to it, and another sends residences,
whose partitions have nothing waiting. From the moment the worker may begin: until the rows of every partition of the
first topic are visible within a second of being sent, and how late residences were meanwhile. Targets: 1,200,000
waiting (10 minutes at 2,000/s), caught up in less than 60 s, no other partition waits for it.
"""

import time
from argparse import Namespace
from typing import Any

import polars as pl

from tests.bench.latency import Pace, paced_command, percentiles, row_latency, visibility
from tests.bench.support.events import Kind
from tests.bench.support.ground import SHARE, Ground, Warehouse
from tests.bench.support.job import started_together
from tests.bench.support.measured import arguments_of, keep, progress, show

TARGET_S = 60.0
LATE_MS = 1_000
"""Rows visible sooner than this after they were sent: the backlog is worked off."""


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--rate", type=int, default=2_000, help="live events a second, and those of the outage")
    arguments.add_argument("--outage", type=float, default=30.0, help="seconds of events that wait")
    arguments.add_argument("--live", type=float, default=30.0, help="seconds for which live traffic goes on")
    arguments.add_argument("--other-rate", type=int, default=100, help="residences a second")
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument("--share", action="store_true", help="share runs too")
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        found = run(ground, options)
    given = {name: getattr(options, name) for name in ("rate", "outage", "live", "other_rate", "partitions", "share")}
    found = {**given, **found}
    keep("catch_up", found, options.results)
    seconds = found["caught_up_s"]
    rows = [
        ("waiting at the start", f"{found['waiting']:,}", ""),
        ("caught up, s", "not within the run" if seconds is None else f"{seconds:.1f}", f"< {TARGET_S:.0f}"),
        ("other topic meanwhile p50, ms", f"{found['other_meanwhile_ms']['p50']:,.0f}", ""),
        ("other topic meanwhile p99, ms", f"{found['other_meanwhile_ms']['p99']:,.0f}", ""),
        ("other topic afterwards p99, ms", f"{found['other_afterwards_ms']['p99']:,.0f}", ""),
    ]
    show(found, rows, options.json)


def run(ground: Ground, options: Namespace) -> dict[str, Any]:
    """Fill, begin, watch; return the figures."""
    waiting = int(options.rate * options.outage)
    ground.fill(waiting)
    warehouse = ground.warehouse("bench_catch_up")
    watchers = {kind: visibility(ground, warehouse, kind) for kind in Kind}
    live = Pace("live", options.rate, options.live, waiting)
    other = Pace("other", options.other_rate, options.live, 0, Kind.RESIDENCE)
    with started_together(ground, warehouse, 1) as running:
        producers = [started(ground, warehouse, pace) for pace in (live, other)]
        begun_ns = time.monotonic_ns()
        if options.share:
            ground.start("share", SHARE, warehouse.environment)
        for producer in producers:
            producer.finished(options.live * 3 + 120)
        running[0].check()
        time.sleep(LATE_MS / 1000)
    sent = {pace.kind: pl.read_parquet(ground.folder / f"{pace.name}.parquet") for pace in (live, other)}
    return {"waiting": waiting, **figures(sent, {kind: of.stopped() for kind, of in watchers.items()}, begun_ns)}


def started(ground: Ground, warehouse: Warehouse, pace: Pace) -> Any:
    """Start a paced producer."""
    return ground.start(pace.name, paced_command(ground, pace), warehouse.environment)


def figures(sent: dict[Kind, pl.DataFrame], seen: dict[Kind, pl.DataFrame], begun_ns: int) -> dict[str, Any]:
    """Return when the first topic had caught up, and the latency of the other one until then and since."""
    ended_ns = caught_up_ns(sent[Kind.CITIZEN], seen[Kind.CITIZEN])
    until = ended_ns or int(sent[Kind.CITIZEN].select(pl.col("sent_ns").max()).item())
    of_other = sent[Kind.RESIDENCE].filter(pl.col("sent_ns") >= begun_ns)
    meanwhile = of_other.filter(pl.col("sent_ns") < until)
    afterwards = of_other.filter(pl.col("sent_ns") >= until)
    if ended_ns is None:
        progress.print("[red]not caught up within the run[/red]")
    return {
        "caught_up_s": None if ended_ns is None else round((ended_ns - begun_ns) / 1e9, 2),
        "other_meanwhile_ms": percentiles(row_latency(meanwhile, seen[Kind.RESIDENCE])),
        "other_afterwards_ms": percentiles(row_latency(afterwards, seen[Kind.RESIDENCE])),
    }


def caught_up_ns(sent: pl.DataFrame, seen: pl.DataFrame) -> int | None:
    """Return the time since which every partition's rows are visible soon after they were sent."""
    joined = seen.join(sent, on=["partition", "offset"], how="inner")
    soon = joined.filter((pl.col("seen_ns") - pl.col("sent_ns")) < LATE_MS * 1_000_000)
    first = soon.group_by("partition").agg(pl.col("seen_ns").min())
    if first.height < sent["partition"].n_unique():
        return None
    return int(first.select(pl.col("seen_ns").max()).item())


if __name__ == "__main__":
    main()
