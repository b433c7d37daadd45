"""Read stretches of the log for a replay: the topics, and whatever else holds older stretches, as one log.

A separate consumer without a group reads them, so nobody's offsets move.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from hub.intake.broker.log import FETCH_BYTES, FETCH_BYTES_PER_PARTITION, RETRY_MS, taken
from hub.intake.prepare import Polled
from hub.log.odd import OddRecord
from hub.log.reader import log_reader, written_ends
from hub.log.stream import LogConsumer, stream_consumer
from hub.log.topic_ids import created_again
from hub.model.errors import LostRangeError, UnreachableError
from hub.topology import is_closed
from hub.warehouse.offsets import Position

_POLL_MS = 500


@dataclass(frozen=True, slots=True)
class LogRange:
    """Offsets ``first <= offset < end`` of a log partition; ``log`` is its number in the warehouse.

    ``topic_id``: Kafka's id of the topic to which the offsets belong; None if unknown.
    """

    log: int
    topic: str
    partition: int
    first: int
    end: int
    topic_id: UUID | None = None


Reader = Callable[[Sequence[LogRange], int], AsyncIterator[list[Polled]]]
"""Yields the records of some ranges, at most that many at once; for each log partition in the order of its offsets.

``Polled.expected`` is where the polled records begin: the range's first offset, later the end of the previous records.
"""


async def read_ranges(bootstrap: str, ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
    """Yield the records of some ranges of the topics; ends when all are read.

    Raises:
        UnreachableError: no broker answers.
        LostRangeError: the log no longer holds a range, or does not hold it yet.
    """
    wanted = {TopicPartition(one.topic, one.partition): one for one in ranges if one.first < one.end}
    if not wanted:
        return
    await asyncio.to_thread(_check_held, bootstrap, list(wanted.values()))
    consumer = stream_consumer(
        bootstrap,
        group_id=None,
        max_partition_fetch_bytes=FETCH_BYTES_PER_PARTITION,
        fetch_max_bytes=FETCH_BYTES,
        retry_backoff_ms=RETRY_MS,
    )
    try:
        await consumer.start()
    except KafkaConnectionError as error:
        await consumer.stop()
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}") from error
    try:
        async for polled in _read(consumer, wanted, most):
            yield polled
    except KafkaError as error:
        raise UnreachableError(f"the log at {bootstrap} cannot be read: {type(error).__name__}") from error
    finally:
        await consumer.stop()


async def _read(
    consumer: LogConsumer, wanted: dict[TopicPartition, LogRange], most: int
) -> AsyncIterator[list[Polled]]:
    consumer.assign(list(wanted))
    places = {partition: one.first for partition, one in wanted.items()}
    for partition, first in places.items():
        consumer.seek(partition, first)
    while places:
        records = await consumer.getmany(*places, timeout_ms=_POLL_MS, max_records=most)
        polled = []
        for partition in list(places):
            one, reached = wanted[partition], consumer.reached(partition)
            inside = [record for record in records.get(partition, ()) if record.offset < one.end]
            if inside or reached > places[partition]:
                part = _polled(one, places[partition], inside, min(reached, one.end))
                polled.append(part)
                places[partition] = part.next_offset
            if places[partition] >= one.end:
                del places[partition]
                consumer.pause(partition)
        if polled:
            yield polled


def _polled(one: LogRange, expected: int, records: Sequence[ConsumerRecord | OddRecord], reached: int) -> Polled:
    """Return records ready to be prepared, without damage: records that the hub read past have a recorded outcome."""
    position = Position(one.log, one.topic, one.partition, one.first, expected)
    return replace(taken(position, records).polled, after=reached)


def _check_held(bootstrap: str, ranges: Sequence[LogRange]) -> None:
    places = [TopicPartition(one.topic, one.partition) for one in ranges]
    if closed := next((one for one in ranges if is_closed(one.topic)), None):
        raise LostRangeError(
            f"{closed.topic}/{closed.partition}: this log was closed when its topic was created again; offsets "
            f"{closed.first} to {closed.end - 1} can be replayed only from an archive that holds them"
        )
    others = created_again(bootstrap, {one.topic: one.topic_id for one in ranges if one.topic_id is not None})
    if other := next((one for one in ranges if one.topic in others), None):
        raise LostRangeError(
            f"{other.topic}: the topic was deleted and created again, and offsets {other.first} to {other.end - 1} are "
            f"of the log before: accept the new log first (`hub offsets accept {other.topic}`); the old one can be "
            "replayed only from an archive that holds it"
        )
    with log_reader(bootstrap) as reader:
        begins = reader.beginning_offsets(places)
    ends = written_ends(bootstrap, places)
    for one in ranges:
        partition, place = TopicPartition(one.topic, one.partition), f"{one.topic}/{one.partition}"
        if one.first < begins[partition]:
            raise LostRangeError(
                f"{place}: the log begins at {begins[partition]}, and offsets {one.first} to {begins[partition] - 1} "
                "are to be replayed: restore them from the archive, or plan with --offsets from where the log begins"
            )
        if one.end > ends[partition]:
            raise LostRangeError(
                f"{place}: the log ends at {ends[partition]}, before offset {one.end} which the hub has consumed: "
                "this is not the log the warehouse was built from"
            )
