"""Benchmark of memory: one worker process over millions of events, its resident memory sampled all the while.

The events of one filling are sent again and again with a higher source epoch (one byte of each value), so that every
repeat is newer than what is stored; one worker consumes them all. Says the most, and the slope over the second half,
in MB for a million events. Target: 10,000,000 events, under 700 MB, flat.
"""

import asyncio
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import polars as pl
import psutil

from tests.bench.support.events import citizen_events, produce
from tests.bench.support.ground import CONSUMED, SOURCE, Ground, peak_memory_mb, resident_mb
from tests.bench.support.job import started_together
from tests.bench.support.measured import arguments_of, keep, progress, show

TARGET_MB = 700.0
FLAT_MB = 5.0
"""Slope, in MB for a million events, below which it counts as flat: 50 MB over ten million."""
_EVERY_S = 0.5
_MOST_EPOCH = 63
"""Epochs up to this take one byte in Avro."""


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--events", type=int, default=300_000)
    arguments.add_argument(
        "--repeats", type=int, default=3, help="of how many sendings of the same events they consist"
    )
    arguments.add_argument("--partitions", type=int, default=4)
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        found = run(ground, options)
    keep("memory", {"events": options.events, "repeats": options.repeats, **found}, options.results)
    rows = [
        ("most resident, MB", f"{found['peak_mb']:,.0f}", f"< {TARGET_MB:.0f}"),
        ("slope, MB per million events", f"{found['slope_mb_per_million']:+.2f}", f"< {FLAT_MB:.0f}"),
        ("decoding child, most, MB", f"{found['child_peak_mb']:,.0f}", ""),
        ("events/s", f"{found['events_per_s']:,}", ""),
    ]
    show(found, rows, options.json)


def run(ground: Ground, options: Namespace) -> dict[str, Any]:
    """Fill, consume, sample."""
    if options.repeats > _MOST_EPOCH:
        raise SystemExit(f"at most {_MOST_EPOCH} repeats")
    began = time.monotonic()
    made = repeated(options.events // options.repeats, options.repeats, ground.places.key_secret)
    asyncio.run(produce(ground.places.bootstrap, made, options.partitions))
    events = options.events // options.repeats * options.repeats
    progress.print(f"filled the topic with {events:,} events in {time.monotonic() - began:.0f} s")
    warehouse = ground.warehouse("bench_memory")
    with started_together(ground, warehouse, 1) as (worker,):
        pid = worker.process.pid
        began = time.monotonic()
        samples: list[tuple[int, float, float]] = []
        while not samples or samples[-1][0] < events:
            worker.check()
            samples.append((warehouse.value(CONSUMED), resident_mb(pid), children_mb(pid)))
            time.sleep(_EVERY_S)
        seconds = time.monotonic() - began
        peak = peak_memory_mb(pid)
    frame = pl.DataFrame(samples, schema=["consumed", "mb", "children_mb"], orient="row")
    return {
        "peak_mb": peak,
        "child_peak_mb": round(float(frame["children_mb"].max() or 0.0), 1),  # type: ignore[arg-type]
        "slope_mb_per_million": round(slope(frame.filter(pl.col("consumed") > events / 2)), 3),
        "events_per_s": round(events / seconds),
        "samples": [(consumed, round(mb), round(children)) for consumed, mb, children in samples],
    }


def repeated(count: int, repeats: int, secret: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the same events ``repeats`` times, each time with a higher source epoch."""
    made = list(citizen_events(count, secret, SOURCE))
    place = epoch_place(made[0][1])
    for epoch in range(1, repeats + 1):
        byte = bytes([2 * epoch])
        for key, value in made:
            yield key, value[:place] + byte + value[place + 1 :]


def epoch_place(value: bytes) -> int:
    """Return where the byte of the source epoch stands: after header, id, two times, source and agency."""
    place = 5 + 16
    for _ in range(2):
        while value[place] & 0x80:
            place += 1
        place += 1
    for _ in range(2):
        place += 1 + value[place] // 2
    return place


def slope(samples: pl.DataFrame) -> float:
    """Return the slope of memory, in MB for a million events, by least squares."""
    if samples["consumed"].n_unique() < 2:
        return 0.0
    fit = samples.select(pl.cov("consumed", "mb") / pl.col("consumed").var())
    return float(fit.item()) * 1_000_000


def children_mb(pid: int) -> float:
    """Return the resident memory of a process's children."""
    total = 0.0
    for child in psutil.Process(pid).children(recursive=True):
        try:
            total += child.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
