"""Consume the golden records as the portal would: a plain consumer of the compacted topics, committed records only."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kafka import TopicPartition

from hub.codec.decode import decode, masked
from hub.log.odd import is_damage
from hub.log.reader import open_reader
from hub.model.errors import HubError


@dataclass(frozen=True, slots=True)
class PortalRecord:
    """One record of a portal topic. ``fields`` is None for a tombstone: the hub no longer holds a record of the key."""

    topic: str
    partition: int
    offset: int
    key: UUID
    fields: dict[str, Any] | None


def tail(bootstrap: str, topic: str, unmask: bool, until_end: bool) -> Iterator[PortalRecord]:
    """Yield the records of a topic from its beginning, personal fields masked unless told otherwise.

    Args:
        bootstrap: Kafka brokers.
        topic: a record topic.
        unmask: show personal and sensitive values.
        until_end: stop at what is the end now; otherwise wait for more, for ever.

    Raises:
        UnreachableError: no broker answers.
        HubError: the topic is not there.
    """
    consumer = open_reader(bootstrap, auto_offset_reset="earliest")
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        if not partitions:
            raise HubError(f"there is no topic {topic}; make it with `hub topics ensure --execute`")
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        quiet_since = time.monotonic()
        while not until_end or any(consumer.position(place) < ends[place] for place in partitions):
            polled = consumer.poll(timeout_ms=500)
            for records in polled.values():
                for record in records:
                    if not is_damage(record):
                        yield _shown(record, unmask)
            if polled:
                quiet_since = time.monotonic()
            elif until_end and time.monotonic() - quiet_since > _QUIET_S:
                return
    finally:
        consumer.close()


_QUIET_S = 5.0
"""Between the last committed record and the end of the log stand markers of transactions: nothing more comes."""


def _shown(record: Any, unmask: bool) -> PortalRecord:
    fields = None
    if record.value is not None:
        version, fields = decode(record.value)
        if not unmask:
            fields = masked(fields, version.schema)
    return PortalRecord(record.topic, record.partition, record.offset, UUID(bytes=record.key), fields)
