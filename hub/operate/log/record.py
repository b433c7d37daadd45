"""One record of the log with all that Kafka knows of it: when it was appended, its headers, its size."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kafka import TopicPartition

from hub.log.odd import Headers, OddRecord
from hub.log.places import Place
from hub.log.reader import log_reader
from hub.log.times import time_of
from hub.topology import HEADER_ORIGIN, HEADER_POSITION, HEADER_PUBLISHED_AT, HEADER_REASON

_QUIET_LIMIT_S = 10.0
_OPEN_HEADERS = frozenset({HEADER_ORIGIN, HEADER_REASON, HEADER_PUBLISHED_AT, HEADER_POSITION, "traceparent"})
"""Headers whose values are coordinates and codes; any other header may contain anything."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as it is in the log.

    Fields:
        appended_at: by its timestamp; None: it has no time.
        headers: names and values, in order; values are never in a repr.
        key: its bytes; never in a repr.
        why: why it cannot be read as a record; empty if it can.
    """

    place: Place
    appended_at: datetime | None
    headers: Headers = field(repr=False)
    key: bytes | None = field(repr=False)
    value_bytes: int | None
    why: str = ""

    def headers_as_text(self, is_masked: bool) -> Mapping[str, str]:
        """Return the headers; masked: of values that may contain anything, only the size is shown."""
        return headers_as_text(self.headers, is_masked)


def headers_as_text(headers: Headers, is_masked: bool) -> dict[str, str]:
    """Return headers as texts; masked: of values that may contain anything, only the size is shown."""
    return {name: _header_text(name, value, is_masked) for name, value in headers}


def _header_text(name: str, value: bytes | None, is_masked: bool) -> str:
    if value is None:
        return "no value"
    if is_masked and name not in _OPEN_HEADERS:
        return f"{len(value):,} bytes"
    return value.decode("utf-8", "backslashreplace")


def read_record(bootstrap: str, place: Place) -> LogRecord | None:
    """Return the record at a place; None: the log holds none there (no longer, or not yet).

    Raises:
        UnreachableError: no broker answers.
    """
    partition = TopicPartition(place.topic, place.partition)
    with log_reader(bootstrap) as consumer:
        if place.partition not in (consumer.partitions_for_topic(place.topic) or ()):
            return None
        begin = consumer.beginning_offsets([partition])[partition]
        end = consumer.end_offsets([partition])[partition]
        if not begin <= place.offset < end:
            return None
        consumer.assign([partition])
        consumer.seek(partition, place.offset)
        give_up = time.monotonic() + _QUIET_LIMIT_S
        while time.monotonic() < give_up:
            for record in consumer.poll(timeout_ms=500, max_records=1).get(partition, ()):
                return _told(place, record) if _is_at(record, place.offset) else None
            if consumer.position(partition) > place.offset:
                return None
    return None


def _is_at(record: Any, offset: int) -> bool:
    """Tell whether a record is at an offset; unreadable bytes may cover several offsets."""
    end = record.end if isinstance(record, OddRecord) else record.offset + 1
    return bool(record.offset <= offset < end)


def _told(place: Place, record: Any) -> LogRecord:
    return LogRecord(
        place,
        time_of(record.timestamp),
        tuple((str(name), value) for name, value in record.headers),
        record.key,
        None if record.value is None else len(record.value),
        record.why if isinstance(record, OddRecord) else "",
    )
