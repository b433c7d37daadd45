"""Where the log of each partition begins and ends now, and how old its oldest unread record is.

A separate consumer without a group reads it, so nobody's offsets move.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from kafka import KafkaConsumer, TopicPartition

from hub.log.places import Partition
from hub.log.reader import log_reader, written_ends
from hub.log.times import time_of

_OLDEST_LIMIT_S = 5.0
_PEEK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LogEnd:
    """One partition of the log.

    Fields:
        begin, end: the first offset it holds, and the offset up to which it may be read: before the first open
            transaction.
        unread_since: when the record at the stored offset was appended; None: everything is read, or it is not known.
        written_end: the offset that the next record will get.
    """

    begin: int
    end: int
    unread_since: datetime | None = None
    written_end: int = 0

    @property
    def held_back(self) -> int:
        """Number of offsets that nobody may read yet: everything behind an open transaction waits for its end."""
        return max(0, self.written_end - self.end)

    def lag(self, next_offset: int) -> int:
        """Return how many offsets of the log are not read yet."""
        return max(0, self.end - max(next_offset, self.begin))

    def lag_s(self, now: datetime) -> float:
        """Return for how many seconds the oldest unread record has been in the log; 0 if all is read."""
        return 0.0 if self.unread_since is None else max(0.0, (now - self.unread_since).total_seconds())

    def problem(self, next_offset: int) -> str:
        """Say what is wrong between the log and the stored offset; empty if nothing is."""
        if next_offset < self.begin:
            return f"lost: the log begins at {self.begin}, after the stored offset {next_offset}"
        if next_offset > max(self.end, self.written_end):
            return f"another log: it ends at {max(self.end, self.written_end)}, before the stored offset {next_offset}"
        return ""


def read_log_ends(
    bootstrap: str, stored: Mapping[Partition, int], clock: Callable[[], float] = time.monotonic
) -> dict[Partition, LogEnd]:
    """Return where the log begins and ends, by (topic, partition); partitions that do not exist are left out.

    Args:
        bootstrap: Kafka brokers.
        stored: stored offsets; the age of the record at each is looked up.
        clock: injected by tests.

    Raises:
        UnreachableError: no broker answers.
    """
    with log_reader(bootstrap, max_partition_fetch_bytes=_PEEK_BYTES) as consumer:
        places = [TopicPartition(*place) for place in stored if _is_there(consumer, place)]
        if not places:
            return {}
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        behind = {
            place: max(stored[tuple(place)], begins[place])
            for place in places
            if max(stored[tuple(place)], begins[place]) < ends[place]
        }
        times = _times_at(consumer, behind, ends, clock)
    written = written_ends(bootstrap, places)
    return {
        (place.topic, place.partition): LogEnd(begins[place], ends[place], times.get(place), written[place])
        for place in places
    }


def _is_there(consumer: KafkaConsumer, place: Partition) -> bool:
    return place[1] in (consumer.partitions_for_topic(place[0]) or ())


def _times_at(
    consumer: KafkaConsumer,
    wanted: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    clock: Callable[[], float],
) -> dict[TopicPartition, datetime]:
    """Return when the first record at or after an offset was appended, for each partition that answers in time.

    A partition with only transaction markers from that offset on has no time.
    """
    found: dict[TopicPartition, datetime] = {}
    if not wanted:
        return found
    consumer.assign(list(wanted))
    for place, offset in wanted.items():
        consumer.seek(place, offset)
    deadline = clock() + _OLDEST_LIMIT_S
    left = set(wanted)
    while left and clock() < deadline:
        polled = consumer.poll(timeout_ms=500, max_records=max(500, len(wanted)))
        for place, records in polled.items():
            if place in left and (at := time_of(records[0].timestamp)):
                found[place] = at
        for place in [one for one in left if one in polled or consumer.position(one) >= ends[one]]:
            left.discard(place)
            consumer.pause(place)
    return found


def earliest(times: Collection[datetime | None]) -> datetime | None:
    """Return the earliest of some times, None if there is none: the oldest unread record of a topic."""
    return min((time for time in times if time is not None), default=None)
