"""Benchmark of a connector that follows its source: from the row's insertion to its event on the topic.

A table of people is there, snapshot and all; then rows are inserted at a steady rate, each in a transaction of its
own, while ``hub connect run`` follows. The clock of a row starts before its INSERT and stops when a consumer of the
topic is given its event. Target: p99 under 1 s. Run with ``python -m tests.bench.streaming --seconds 60``.
"""

import sys
import threading
import time
from typing import Any

import polars as pl
import psycopg
from kafka import KafkaConsumer
from sqlalchemy import create_engine

from hub.codec.decode import decode
from tests.bench.latency import percentiles
from tests.bench.peers.source_table import TABLE, make_table, write_declaration
from tests.bench.support.events import TOPIC
from tests.bench.support.ground import Ground
from tests.bench.support.measured import arguments_of, keep, progress, show

TARGET_MS = 1_000.0
_DATABASE = "population"
_SETTLE_S = 5.0
_INSERT = f"""
    INSERT INTO {TABLE} SELECT '0003' || lpad(%(n)s::text, 8, '0'), ho, chu_dem, ten, ngay_sinh, gioi_tinh, que_quan,
        quoc_tich, tinh_trang, %(n)s, now() FROM {TABLE} WHERE so_dinh_danh = '000200000001'
"""


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--rows", type=int, default=100_000, help="rows of the table at the start")
    arguments.add_argument("--rate", type=int, default=100, help="rows inserted a second")
    arguments.add_argument("--seconds", type=float, default=60.0)
    options = arguments.parse_args()
    with Ground(4) as ground:
        found = run(ground, options.rows, options.rate, options.seconds)
    found = {"rows": options.rows, "rate": options.rate, "seconds": options.seconds, **found}
    keep("streaming", found, options.results)
    of = found["topic_ms"]
    lines = [(f"topic {name}, ms", f"{of[name]:,.1f}", "< 1,000" if name == "p99" else "") for name in of]
    show(found, lines, options.json)


def run(ground: Ground, rows: int, rate: int, seconds: float) -> dict[str, Any]:
    """Let a connector take the table over, then insert and look."""
    url = ground.embedded.create_database(_DATABASE)
    engine = create_engine(url)
    make_table(engine, rows)
    engine.dispose()
    environment = {**ground.warehouse("bench_streaming").environment, "SOURCE_DATABASE_URL": url}
    command = (sys.executable, "-m", "hub.cli", "connect", "run", str(write_declaration(ground.folder, "streaming")))
    arrivals = Arrivals(ground.places.bootstrap)
    connector = ground.start("connector", command, environment)
    arrivals.wait(rows, connector.check)
    sent = inserted(url.replace("+psycopg", "", 1), rate, seconds)
    time.sleep(_SETTLE_S)
    connector.check()
    connector.stop()
    return {"topic_ms": percentiles(delays(sent, arrivals.stopped()))}


def inserted(url: str, rate: int, seconds: float) -> dict[int, int]:
    """Insert rows when they are due; return the time before each (ns), by version."""
    sent: dict[int, int] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        begun = time.monotonic()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            version = 50_000_000 + number
            sent[version] = time.monotonic_ns()
            connection.execute(_INSERT, {"n": version})
    return sent


def delays(sent: dict[int, int], arrived: list[tuple[bytes, int]]) -> pl.Series:
    """Return the milliseconds from each insertion to its event, and say which never came."""
    at: dict[int, int] = {}
    for value, now in arrived:
        at.setdefault(int(decode(value)[1]["source_version"]), now)
    missing = len(sent.keys() - at.keys())
    if missing:
        progress.print(f"[red]{missing:,} of {len(sent):,} rows never came[/red]")
    return pl.Series([(at[version] - since) / 1e6 for version, since in sent.items() if version in at])


class Arrivals:
    """What comes to the topic, and when; read by a thread."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = KafkaConsumer(TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        self._ended = threading.Event()
        self._found: list[tuple[bytes, int]] = []
        self._count = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, count: int, check: Any) -> None:
        """Wait for so many events, the snapshot; they are forgotten."""
        while self._count < count:
            check()
            time.sleep(0.1)
        self._found.clear()

    def stopped(self) -> list[tuple[bytes, int]]:
        """Return the values and times of what came since."""
        self._ended.set()
        self._thread.join(30)
        return self._found

    def _read(self) -> None:
        while not self._ended.is_set():
            polled = self._consumer.poll(timeout_ms=100)
            now = time.monotonic_ns()
            for records in polled.values():
                self._count += len(records)
                self._found += [(record.value, now) for record in records]
        self._consumer.close()


if __name__ == "__main__":
    main()
