"""When a golden record was published after each of its events: found on its compacted topic by key and time.

Share notes nothing about single records. A key's records are in one partition, in the order of publication, and come
soon after the transaction that changed them. So each search begins at the time of an event and is short. If compaction
has removed an older publication, the next one that still exists is found.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aiokafka.partitioner import DefaultPartitioner
from kafka import KafkaConsumer, TopicPartition

from hub.log.reader import log_reader
from hub.log.times import time_of
from hub.operate.log.record import headers_as_text
from hub.topology import HEADER_POSITION, HEADER_PUBLISHED_AT

_MOST_READ = 50_000
_LIMIT_S = 15.0
_QUIET_POLLS = 4


@dataclass(frozen=True, slots=True)
class Published:
    """A record on a portal topic.

    Fields:
        at: when the topic received it, by its timestamp.
        is_tombstone: it says that the hub no longer holds one.
        published_at: from its header: when share read it; None: it has no such header.
        position: from its header: ``topic/partition/offset`` of the newest row of the audit log that changed it;
            None: it was published again unchanged, or before this header existed.
    """

    topic: str
    partition: int
    offset: int
    at: datetime
    is_tombstone: bool
    published_at: str | None = None
    position: str | None = None


def publications(bootstrap: str, topic: str, key: UUID, since: Collection[datetime]) -> list[Published]:
    """Return, for each of some times, the first record of the key that was published then or later; each only once.

    Raises:
        UnreachableError: no broker answers.
    """
    with log_reader(bootstrap) as consumer:
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        if not numbers:
            return []
        place = TopicPartition(topic, DefaultPartitioner()(key.bytes, numbers, numbers))
        consumer.assign([place])
        found: list[Published] = []
        deadline = time.monotonic() + _LIMIT_S
        for wanted in sorted(since):
            if any(one.at >= wanted for one in found):
                continue
            one = _first_since(consumer, place, key, wanted, deadline)
            if one is not None:
                found.append(one)
        return found


def _first_since(
    consumer: KafkaConsumer, place: TopicPartition, key: UUID, since: datetime, deadline: float
) -> Published | None:
    begin = consumer.offsets_for_times({place: int(since.timestamp() * 1000)}).get(place)
    if begin is None:
        return None
    consumer.seek(place, begin.offset)
    read = quiet = 0
    while read < _MOST_READ and quiet < _QUIET_POLLS and time.monotonic() < deadline:
        records: list[Any] = consumer.poll(timeout_ms=250).get(place, [])
        read, quiet = read + len(records), 0 if records else quiet + 1
        for record in records:
            at = time_of(record.timestamp)
            if record.key == key.bytes and at is not None and at >= since:
                return _published(place, record, at)
    return None


def _published(place: TopicPartition, record: Any, at: datetime) -> Published:
    headers = headers_as_text(tuple(record.headers), is_masked=True)
    told = (headers.get(HEADER_PUBLISHED_AT), headers.get(HEADER_POSITION))
    return Published(place.topic, place.partition, record.offset, at, record.value is None, *told)
