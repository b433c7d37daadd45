"""Note when rows become visible to a connection that is not the writer's, by asking again and again.

A process of its own with one autocommit connection. The query gives (log partition, highest offset that has a row):
what a transaction has not committed is not there, so the time noted is never too early. Ends on SIGTERM and writes
what it saw (Parquet).
"""

import argparse
import os
import signal
import time
from pathlib import Path
from types import FrameType

import polars as pl
import psycopg

HUB_ROWS = "SELECT partition, next_offset - 1 FROM hub.log_partition WHERE topic = %(topic)s"
"""The offset of an event is committed with its claim, its record and its audit row, in one transaction. To look for the
rows themselves takes the measured machine a tenth of a core, and sees the same moment."""

_EVERY_S = 0.002
"""Asking costs the machine that is measured a part of its processors; the time noted is this much too late at most."""


def main() -> None:
    """Ask until told to stop."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--topic", required=True)
    arguments.add_argument("--query", default=HUB_ROWS, help="gives (partition, highest offset that is visible)")
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    watch(os.environ["HUB_DATABASE_URL"], options.query, options.topic, options.out)


def watch(url: str, query: str, topic: str, out: Path) -> None:
    """Note each partition's advances until SIGTERM."""
    ended = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    seen: dict[int, int] = {}
    found: list[tuple[int, int, int]] = []
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True, prepare_threshold=0) as connection:
        while not ended:
            rows = connection.execute(query, {"topic": topic} if "%(topic)s" in query else None).fetchall()
            now = time.monotonic_ns()
            for partition, offset in rows:
                if offset is not None and offset > seen.get(partition, -1):
                    seen[partition] = offset
                    found.append((partition, offset, now))
            time.sleep(_EVERY_S)
    columns = {"partition": pl.Int64, "offset": pl.Int64, "seen_ns": pl.Int64}
    pl.DataFrame(found, schema=columns, orient="row").write_parquet(out)


if __name__ == "__main__":
    main()
