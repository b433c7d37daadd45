"""Read single records back from the log by their coordinates: the log is the truth about what an event said.

A consumer of its own without a group: it moves nobody's offsets and commits none.
"""

import socket
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.model.errors import PoisonError, UnreachableError
from hub.operate.archive_reader import read_places
from hub.operate.history import Place
from hub.retry import FIRST_ANSWER_MS

QUIET_LIMIT_S = 10.0
"""How long the log may give nothing of what is wanted before it counts as away."""

_NEAR = 1000
"""Wanted records no further apart than this are read through to; beyond, the reader seeks."""

_CONNECT_LIMIT_S = 3.0
_FETCH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogValues:
    """Records read back; values are never in a repr.

    Fields:
        gone: places at which the log holds nothing any more.
        appended: when the log took a record, as its timestamp says.
    """

    values: Mapping[Place, bytes] = field(repr=False)
    gone: frozenset[Place] = frozenset()
    appended: Mapping[Place, datetime] = field(default_factory=dict)


def read_values(bootstrap: str, places: Collection[Place], archive: Path | None = None) -> LogValues:
    """Return the records at some places of the log. Blocks until they are read.

    Args:
        bootstrap: Kafka brokers.
        places: where the records stand.
        archive: folder that is asked for what the topics no longer hold.

    Raises:
        UnreachableError: no broker answers, or not in time.
    """
    if not places:
        return LogValues({})
    if not any(_listens(address) for address in bootstrap.split(",")):
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}")
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            bootstrap_timeout_ms=FIRST_ANSWER_MS,
        )
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}") from error
    try:
        read = _Reading(consumer, places).run()
    except KafkaError as error:
        raise UnreachableError(f"the log at {bootstrap} cannot be read: {type(error).__name__}") from error
    finally:
        consumer.close()
    return read if archive is None or not read.gone else _with_archived(read, archive)


def _with_archived(read: LogValues, archive: Path) -> LogValues:
    values, appended, gone = dict(read.values), dict(read.appended), set(read.gone)
    wanted: dict[tuple[str, int], list[int]] = {}
    for place in read.gone:
        wanted.setdefault((place.topic, place.partition), []).append(place.offset)
    for (topic, partition), offsets in wanted.items():
        for offset, time_ms, value in read_places(archive, topic, partition, offsets):
            place = Place(topic, partition, offset)
            appended[place] = datetime.fromtimestamp(time_ms / 1000, UTC)
            if value is not None:
                values[place] = value
                gone.discard(place)
    return LogValues(values, frozenset(gone), appended)


def _listens(address: str) -> bool:
    """Ask before the client does: one that finds nobody tries for long and leaves its sockets open."""
    host, _, port = address.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_LIMIT_S):
            return True
    except (OSError, ValueError):
        return False


class _Reading:
    """One reading: all partitions at once, each seeking to the next wanted offset."""

    def __init__(self, consumer: KafkaConsumer, places: Collection[Place]) -> None:
        self._consumer = consumer
        self._values: dict[Place, bytes] = {}
        self._gone: set[Place] = set()
        self._appended: dict[Place, datetime] = {}
        self._wanted: dict[TopicPartition, deque[int]] = {}
        for place in sorted(places, key=lambda place: (place.topic, place.partition, place.offset)):
            self._wanted.setdefault(TopicPartition(place.topic, place.partition), deque()).append(place.offset)

    def run(self) -> LogValues:
        """Read until nothing is wanted."""
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
            if time.monotonic() - last_found > QUIET_LIMIT_S:
                raise UnreachableError("the log does not give the records that the audit log names")
        return LogValues(self._values, frozenset(self._gone), self._appended)

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
        """Take what is wanted of some records; return whether anything of the partition was settled."""
        wanted = self._wanted[partition]
        before, last = len(wanted), -1
        for record in records:
            last = record.offset
            while wanted and wanted[0] < last:
                self._drop(partition, deque([wanted.popleft()]))
            if wanted and wanted[0] == last:
                place = Place(partition.topic, partition.partition, wanted.popleft())
                self._appended[place] = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                if record.value is None:
                    self._gone.add(place)
                else:
                    self._values[place] = record.value
        if not wanted:
            self._consumer.pause(partition)
        elif wanted[0] - last > _NEAR:
            self._consumer.seek(partition, wanted[0])
        return len(wanted) < before


def event_values(value: bytes) -> dict[str, Any] | None:
    """Return an event's fields by the newest schema of its subject; None when the bytes cannot be read."""
    try:
        version, fields = decode(value)
    except PoisonError:
        return None
    latest = load_catalogue().latest(version.subject)
    return {spec.name: fields.get(spec.name) for spec in latest.fields}
