"""Consume the golden records as the portal would: a plain consumer of the compacted topics, committed records only."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from hub.codec.decode import decode, masked
from hub.log.odd import is_damage
from hub.log.reader import log_reader, partitions_of, read_from_the_beginning
from hub.model.errors import HubError
from hub.topology import HEADER_POSITION, HEADER_PUBLISHED_AT


@dataclass(frozen=True, slots=True)
class PortalRecord:
    """One record of a portal topic. ``fields`` is None for a tombstone: the hub no longer holds a record of the key.

    Fields:
        published_at: when share read it, RFC 3339; None: published before this header existed.
        position: ``<topic>/<partition>/<offset>`` of the audit log's newest row that changed it; None: published again
            without a change, or before this header existed.
    """

    topic: str
    partition: int
    offset: int
    key: UUID
    fields: dict[str, Any] | None
    published_at: str | None = None
    position: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values: keys as 32 hexadecimal digits, times in RFC 3339."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": self.key.hex,
            "published_at": self.published_at,
            "position": self.position,
            "fields": json_value(self.fields),
        }


def json_value(value: Any) -> Any:
    """Return a decoded value as JSON values, with everything nested in it.

    Raises:
        TypeError: a type that no schema produces.
    """
    if isinstance(value, dict):
        return {name: json_value(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(part) for part in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, UUID | bytes):
        return value.hex if isinstance(value, UUID) else value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no form in JSON for a {type(value).__name__}")


def tail(
    bootstrap: str, topic: str, unmask: bool, until_end: bool, waits: Callable[[str], None] = lambda _: None
) -> Generator[PortalRecord, None, None]:
    """Yield the records of a topic from its beginning, with personal fields masked unless ``unmask``.

    Args:
        bootstrap: Kafka brokers.
        topic: a record topic.
        unmask: show personal and sensitive values.
        until_end: stop at the current end; otherwise wait for more, forever, and for the topic too.
        waits: called once when the wait for the topic begins, and once when the topic exists.

    Raises:
        UnreachableError: no broker answers.
        HubError: the topic does not exist, and ``until_end`` is set.
    """
    with log_reader(bootstrap, auto_offset_reset="earliest") as consumer:
        partitions = partitions_of(consumer, topic)
        if not partitions:
            missing = f"there is no topic {topic}"
            if until_end:
                raise HubError(f"{missing}; make it with `hub topics ensure --execute`")
            waits(f"{missing} yet; waiting for it: `hub topics ensure --execute` makes it")
            while not (partitions := partitions_of(consumer, topic)):
                time.sleep(_LOOK_EVERY_S)
            waits(f"the topic {topic} is there; waiting for records")
        ends = read_from_the_beginning(consumer, partitions)
        quiet_since = time.monotonic()
        while not until_end or any(consumer.position(partition) < end for partition, end in ends.items()):
            polled = consumer.poll(timeout_ms=500)
            for records in polled.values():
                for record in records:
                    if not is_damage(record):
                        yield _shown(record, unmask)
            if polled:
                quiet_since = time.monotonic()
            elif until_end and time.monotonic() - quiet_since > _QUIET_S:
                return


def newest(bootstrap: str, topic: str, count: int) -> list[PortalRecord]:
    """Return the newest records of a topic by Kafka's time, the oldest of them first, with personal fields masked.

    Only the ends of the partitions are read: further back where compaction has left few records.

    Raises:
        UnreachableError: no broker answers.
        HubError: the topic does not exist.
    """
    with log_reader(bootstrap, auto_offset_reset="earliest") as consumer:
        partitions = partitions_of(consumer, topic)
        if not partitions:
            raise HubError(f"there is no topic {topic}; make it with `hub topics ensure --execute`")
        consumer.assign(partitions)
        begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        found: list[Any] = []
        for one in partitions:
            begin, span, last = ends[one], count, list[Any]()
            while len(last) < count and begin > begins[one]:
                span *= 4
                begin = max(begins[one], ends[one] - span)
                last = _between(consumer, one, begin, ends[one])
            found += last[-count:]
        found.sort(key=lambda record: (record.timestamp, record.partition, record.offset))
        return [_shown(record, unmask=False) for record in found[-count:]]


def _between(consumer: Any, partition: Any, begin: int, end: int) -> list[Any]:
    """Return the records of a partition from one offset to before another."""
    consumer.assign([partition])
    consumer.seek(partition, begin)
    found: list[Any] = []
    quiet_since = time.monotonic()
    while consumer.position(partition) < end and time.monotonic() - quiet_since < _QUIET_S:
        polled = consumer.poll(timeout_ms=500).get(partition, [])
        found += [record for record in polled if record.offset < end and not is_damage(record)]
        quiet_since = time.monotonic() if polled else quiet_since
    return found


_QUIET_S = 5.0
"""Transaction markers follow the last committed record; after this time without a record, none follows."""


_LOOK_EVERY_S = 0.5


def _shown(record: Any, unmask: bool) -> PortalRecord:
    fields = None
    if record.value is not None:
        version, fields = decode(record.value)
        if not unmask:
            fields = masked(fields, version.schema)
    key, headers = UUID(bytes=record.key), dict(record.headers)
    told = (_header(headers, HEADER_PUBLISHED_AT), _header(headers, HEADER_POSITION))
    return PortalRecord(record.topic, record.partition, record.offset, key, fields, *told)


def _header(headers: dict[str, bytes | None], name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("utf-8", "backslashreplace")
