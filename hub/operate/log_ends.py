"""Where the log of each partition begins and ends now, and how old its oldest unread record is.

A consumer of its own without a group: it moves nobody's offsets.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from hub.embedded.kafka import broker_answers
from hub.model.errors import UnreachableError
from hub.retry import FIRST_ANSWER_MS

_OLDEST_LIMIT_S = 5.0
_PEEK_BYTES = 4096
Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """One partition of the log.

    Fields:
        begin, end: the first offset it holds, and the one that the next record will have.
        unread_since: when the record at the stored offset was appended; None: everything is read, or it was not told.
    """

    begin: int
    end: int
    unread_since: datetime | None = None

    def lag(self, next_offset: int) -> int:
        """Return how many offsets of the log are not read yet."""
        return max(0, self.end - max(next_offset, self.begin))

    def lag_s(self, now: datetime) -> float:
        """Return for how many seconds the oldest unread record has been there; 0 when all is read."""
        return 0.0 if self.unread_since is None else max(0.0, (now - self.unread_since).total_seconds())

    def problem(self, next_offset: int) -> str:
        """Say what is wrong between the log and the stored offset; empty when nothing is."""
        if next_offset < self.begin:
            return f"lost: the log begins at {self.begin}, after the stored offset {next_offset}"
        if next_offset > self.end:
            return f"another log: it ends at {self.end}, before the stored offset {next_offset}"
        return ""


@contextmanager
def log_consumer(bootstrap: str, **options: Any) -> Iterator[KafkaConsumer]:
    """Yield a consumer without a group, for reading by coordinates.

    Raises:
        UnreachableError: no broker answers, or it stops answering.
    """
    if not broker_answers(bootstrap):
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}; is it up, and is HUB_KAFKA_BOOTSTRAP right?")
    consumer = None
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            bootstrap_timeout_ms=FIRST_ANSWER_MS,
            **options,
        )
        yield consumer
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}") from error
    except KafkaError as error:
        raise UnreachableError(f"the log at {bootstrap} cannot be read: {type(error).__name__}") from error
    finally:
        if consumer is not None:
            consumer.close()


def read_log_ends(
    bootstrap: str, stored: Mapping[Place, int], clock: Callable[[], float] = time.monotonic
) -> dict[Place, LogEnd]:
    """Return where the log begins and ends, by (topic, partition); partitions that are not there are left out.

    Args:
        bootstrap: Kafka brokers.
        stored: stored offsets: whose record's age is wanted.
        clock: injected by tests.

    Raises:
        UnreachableError: no broker answers.
    """
    with log_consumer(bootstrap, max_partition_fetch_bytes=_PEEK_BYTES) as consumer:
        places = [TopicPartition(*place) for place in stored if _is_there(consumer, place)]
        if not places:
            return {}
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        behind = {
            place: max(stored[tuple(place)], begins[place])
            for place in places
            if max(stored[tuple(place)], begins[place]) < ends[place]
        }
        times = _times_at(consumer, behind, clock)
        return {
            (place.topic, place.partition): LogEnd(begins[place], ends[place], times.get(place)) for place in places
        }


def _is_there(consumer: KafkaConsumer, place: Place) -> bool:
    return place[1] in (consumer.partitions_for_topic(place[0]) or ())


def _times_at(
    consumer: KafkaConsumer, wanted: Mapping[TopicPartition, int], clock: Callable[[], float]
) -> dict[TopicPartition, datetime]:
    """Return when the first record at or after an offset was appended, for as many partitions as answer in time."""
    found: dict[TopicPartition, datetime] = {}
    if not wanted:
        return found
    consumer.assign(list(wanted))
    for place, offset in wanted.items():
        consumer.seek(place, offset)
    deadline = clock() + _OLDEST_LIMIT_S
    while len(found) < len(wanted) and clock() < deadline:
        for place, records in consumer.poll(timeout_ms=500, max_records=max(500, len(wanted))).items():
            if records and place not in found:
                found[place] = appended_at(records[0])
                consumer.pause(place)
    return found


def appended_at(record: Any) -> datetime:
    """Return a record's timestamp as the log has it."""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def earliest(times: Collection[datetime | None]) -> datetime | None:
    """Return the earliest of some times, None when there is none: the oldest unread record of a topic."""
    return min((time for time in times if time is not None), default=None)
