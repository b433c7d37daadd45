"""Watch the hub from outside while the demo runs: what it consumed, what the log holds, how far share is."""

import threading
import time
from collections.abc import Callable
from typing import Self

import psycopg
from psycopg import sql

from hub.demo.sources.load import libpq_url
from hub.embedded.locate import Endpoints
from hub.log.places import Partition
from hub.log.reader import log_reader, partitions_of
from hub.model.errors import HubError
from hub.topology import merged_topics

_EVERY_S = 0.1


class StuckError(HubError):
    """The hub did not reach a state within the time limit."""

    code = "STUCK"


class Watch:
    """Reads the number of consumed records ten times a second, whether or not the database is running.

    ``check`` is called during waits; it raises if waiting makes no sense any more.
    """

    def __init__(self, where: Endpoints, schema: str, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._url = libpq_url(where.database_url)
        self._consumed = sql.SQL("SELECT coalesce(sum(consumed), 0)::bigint FROM {}.log_partition").format(
            sql.Identifier(schema)
        )
        self._samples: list[tuple[float, int]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def consumed(self) -> int:
        """Return the last count read."""
        return self._samples[-1][1] if self._samples else 0

    def read_now(self) -> int:
        """Read the count at once, for an exact start of an outage."""
        with psycopg.connect(self._url, connect_timeout=2) as connection:
            row = connection.execute(self._consumed).fetchone()
        return int(row[0]) if row else 0

    def wait_for(self, count: int, limit_s: float) -> None:
        """Wait until that many records were consumed; raises ``StuckError`` after the limit."""
        self._wait(lambda: self.consumed >= count, limit_s, f"fewer than {count} records consumed")

    def wait_for_growth(self, since: float, more_than: int, limit_s: float) -> float:
        """Wait until a sample taken after ``since`` is larger than ``more_than``; return its time (monotonic clock)."""
        found: list[float] = []

        def grown() -> bool:
            found.extend(at for at, count in self._samples[-50:] if at >= since and count > more_than)
            return bool(found)

        self._wait(grown, limit_s, "the worker did not continue")
        return found[0]

    def span_s(self) -> float:
        """Return the seconds from the first record consumed to the last, outages included."""
        growth = [at for (_, before), (at, now) in zip(self._samples, self._samples[1:], strict=False) if now != before]
        return max(growth[-1] - growth[0], _EVERY_S) if growth else _EVERY_S

    def _wait(self, is_so: Callable[[], bool], limit_s: float, otherwise: str) -> None:
        def checked() -> bool:
            self._check()
            return is_so()

        wait_until(checked, limit_s, otherwise)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=2) as connection:
                    while not self._ended.wait(_EVERY_S):
                        row = connection.execute(self._consumed).fetchone()
                        self._samples.append((time.monotonic(), row[0] if row else 0))
            except psycopg.OperationalError:
                self._ended.wait(_EVERY_S)


def log_ends(where: Endpoints) -> dict[Partition, int]:
    """Return the end offset of every partition of the topics that the worker reads."""
    with log_reader(where.bootstrap) as consumer:
        ends = consumer.end_offsets([one for topic in merged_topics() for one in partitions_of(consumer, topic)])
    return {(partition.topic, partition.partition): end for partition, end in ends.items()}


def next_offsets(where: Endpoints, schema: str) -> dict[Partition, int]:
    """Return up to which offset the hub has read each partition."""
    statement = sql.SQL("SELECT topic, partition, next_offset FROM {}.log_partition").format(sql.Identifier(schema))
    with psycopg.connect(libpq_url(where.database_url)) as connection:
        return {(topic, partition): offset for topic, partition, offset in connection.execute(statement)}


def is_drained(where: Endpoints, schema: str) -> bool:
    """Tell whether every record in the log has been consumed, and none is parked."""
    stored = next_offsets(where, schema)
    is_read = all(stored.get(partition, 0) >= end for partition, end in log_ends(where).items())
    return is_read and count_parked(where, schema) == 0


def count_parked(where: Endpoints, schema: str) -> int:
    """Return how many records wait for what they refer to."""
    statement = sql.SQL("SELECT count(*) FROM {}.parked").format(sql.Identifier(schema))
    with psycopg.connect(libpq_url(where.database_url)) as connection:
        row = connection.execute(statement).fetchone()
        return int(row[0]) if row else 0


def wait_until(is_so: Callable[[], bool], limit_s: float, otherwise: str) -> None:
    """Call ``is_so`` again and again until it is true.

    Raises:
        StuckError: with the text ``otherwise``, after the limit.
    """
    deadline = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > deadline:
            raise StuckError(f"{otherwise} after {limit_s:.0f} s")
        time.sleep(_EVERY_S)
