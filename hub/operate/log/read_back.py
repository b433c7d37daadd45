"""Read single records back from the log by their coordinates: the log is the truth about what an event said.

A separate consumer without a group reads them, so nobody's offsets move.
"""

import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.log.odd import Headers
from hub.log.places import Partition, Place
from hub.log.reader import log_reader
from hub.log.times import time_of
from hub.log.topic_ids import created_again
from hub.model.errors import PoisonError, UnreachableError
from hub.operate.archive.reader import read_places

QUIET_LIMIT_S = 10.0
"""How many seconds the log may return nothing wanted before it counts as unreachable."""

_NEAR = 1000
"""Between wanted records no further apart than this, the reader reads on; beyond, it seeks."""

_FETCH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogValues:
    """Records read back; values are never in a repr.

    Fields:
        gone: places at which the log no longer holds a record.
        appended: when the log received a record, by its timestamp.
        headers: of the records that have some.
    """

    values: Mapping[Place, bytes] = field(repr=False)
    gone: frozenset[Place] = frozenset()
    appended: Mapping[Place, datetime] = field(default_factory=dict)
    headers: Mapping[Place, Headers] = field(default_factory=dict, repr=False)


NO_IDS: Mapping[str, UUID] = {}


def read_values(
    bootstrap: str, places: Collection[Place], archive: Path | None = None, known: Mapping[str, UUID] = NO_IDS
) -> LogValues:
    """Return the records at some places of the log; blocks until they are read.

    Args:
        bootstrap: Kafka brokers.
        places: where the records are.
        archive: folder to read what the topics no longer hold.
        known: ids of the topics to which the places belong. If a topic was created again, its places are gone.

    Raises:
        UnreachableError: no broker answers in time.
    """
    if not places:
        return LogValues({})
    named = {place.topic for place in places}
    others = created_again(bootstrap, {topic: one for topic, one in known.items() if topic in named})
    # Records that were deleted meanwhile are skipped: the next record that exists shows that they are gone.
    with log_reader(bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=_FETCH_BYTES) as consumer:
        read = _Reading(consumer, [place for place in places if place.topic not in others]).run()
    if others:
        read = replace(read, gone=read.gone | {place for place in places if place.topic in others})
    return read if archive is None or not read.gone else _with_archived(read, archive)


def _with_archived(read: LogValues, archive: Path) -> LogValues:
    values, appended, gone = dict(read.values), dict(read.appended), set(read.gone)
    headers = dict(read.headers)
    wanted: dict[Partition, list[int]] = {}
    for place in read.gone:
        wanted.setdefault((place.topic, place.partition), []).append(place.offset)
    for (topic, partition), offsets in wanted.items():
        for offset, time_ms, value, said in read_places(archive, topic, partition, offsets):
            place = Place(topic, partition, offset)
            if said:
                headers[place] = said
            if (at := time_of(time_ms)) is not None:
                appended[place] = at
            if value is not None:
                values[place] = value
                gone.discard(place)
    return LogValues(values, frozenset(gone), appended, headers)


class _Reading:
    """One reading: all partitions at once, each seeking to its next wanted offset."""

    def __init__(self, consumer: KafkaConsumer, places: Collection[Place]) -> None:
        self._consumer = consumer
        self._values: dict[Place, bytes] = {}
        self._gone: set[Place] = set()
        self._appended: dict[Place, datetime] = {}
        self._headers: dict[Place, Headers] = {}
        self._wanted: dict[TopicPartition, deque[int]] = {}
        for place in sorted(places, key=lambda place: (place.topic, place.partition, place.offset)):
            self._wanted.setdefault(TopicPartition(place.topic, place.partition), deque()).append(place.offset)

    def run(self) -> LogValues:
        """Read until nothing more is wanted."""
        self._leave_out_what_is_gone()
        self._consumer.assign(list(self._wanted))
        for partition, offsets in self._wanted.items():
            self._consumer.seek(partition, offsets[0])
        last_found = time.monotonic()
        while any(self._wanted.values()):
            polled = self._consumer.poll(timeout_ms=500)
            for partition, records in polled.items():
                if self._take(partition, records):
                    last_found = time.monotonic()
            if self._pass_over():
                last_found = time.monotonic()
            if time.monotonic() - last_found > QUIET_LIMIT_S:
                raise UnreachableError("the log does not return the records that the audit log names")
        return LogValues(self._values, frozenset(self._gone), self._appended, self._headers)

    def _leave_out_what_is_gone(self) -> None:
        for partition in list(self._wanted):
            if partition.partition not in (self._consumer.partitions_for_topic(partition.topic) or ()):
                self._drop(partition, self._wanted.pop(partition))
        if not self._wanted:
            return
        begins = self._consumer.beginning_offsets(list(self._wanted))
        ends = self._consumer.end_offsets(list(self._wanted))
        for partition, offsets in list(self._wanted.items()):
            held = deque(offset for offset in offsets if begins[partition] <= offset < ends[partition])
            self._drop(partition, deque(offset for offset in offsets if offset not in held))
            if held:
                self._wanted[partition] = held
            else:
                del self._wanted[partition]

    def _drop(self, partition: TopicPartition, offsets: deque[int]) -> None:
        self._gone.update(Place(partition.topic, partition.partition, offset) for offset in offsets)

    def _take(self, partition: TopicPartition, records: list[Any]) -> bool:
        """Take what is wanted of some records; tell whether anything of the partition was settled."""
        wanted = self._wanted[partition]
        before, last = len(wanted), -1
        for record in records:
            last = record.offset
            while wanted and wanted[0] < last:
                self._drop(partition, deque([wanted.popleft()]))
            if wanted and wanted[0] == last:
                place = Place(partition.topic, partition.partition, wanted.popleft())
                if (at := time_of(record.timestamp)) is not None:
                    self._appended[place] = at
                if record.headers:
                    self._headers[place] = tuple(record.headers)
                if record.value is None:
                    self._gone.add(place)
                else:
                    self._values[place] = record.value
        return len(wanted) < before

    def _pass_over(self) -> bool:
        """Give up places that the log passed without a record (markers, aborted records, damage); tell whether any was.

        Then seek to the next wanted record if it is far away.
        """
        is_any = False
        for partition, wanted in self._wanted.items():
            at = self._consumer.position(partition)
            while wanted and wanted[0] < at:
                self._drop(partition, deque([wanted.popleft()]))
                is_any = True
            if not wanted:
                self._consumer.pause(partition)
            elif wanted[0] - at > _NEAR:
                self._consumer.seek(partition, wanted[0])
        return is_any


def event_values(value: bytes) -> dict[str, Any] | None:
    """Return an event's fields by the newest schema of its subject; None if the bytes cannot be read."""
    try:
        version, fields = decode(value)
    except PoisonError:
        return None
    latest = load_catalogue().latest(version.subject)
    return {spec.name: fields.get(spec.name) for spec in latest.fields}
