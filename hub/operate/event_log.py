"""Read stretches of the log for a replay: topics now, and whatever else holds older stretches, as one log.

A consumer of its own without a group: it moves nobody's offsets and commits none.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from hub.intake.log import FETCH_BYTES, FETCH_BYTES_PER_PARTITION, RETRY_MS
from hub.intake.prepare import Polled
from hub.model.errors import LostRangeError, UnreachableError

_POLL_MS = 500


@dataclass(frozen=True, slots=True)
class LogRange:
    """Offsets ``first <= offset < end`` of a log partition; ``log`` is its number in the warehouse."""

    log: int
    topic: str
    partition: int
    first: int
    end: int


Reader = Callable[[Sequence[LogRange], int], AsyncIterator[list[Polled]]]
"""Yields the records of some ranges, at most so many at once; of each log partition in the order of its offsets.

``Polled.expected`` is where the polled records begin: the range's first offset, then where the last ones ended.
"""


async def read_ranges(bootstrap: str, ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
    """Yield the records of some ranges of the topics; ends when all are read.

    Raises:
        UnreachableError: no broker answers.
        LostRangeError: the log no longer holds, or does not hold yet, what a range names.
    """
    wanted = {TopicPartition(one.topic, one.partition): one for one in ranges if one.first < one.end}
    if not wanted:
        return
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
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
    consumer: AIOKafkaConsumer, wanted: dict[TopicPartition, LogRange], most: int
) -> AsyncIterator[list[Polled]]:
    consumer.assign(list(wanted))
    await _check(consumer, wanted)
    places = {partition: one.first for partition, one in wanted.items()}
    for partition, first in places.items():
        consumer.seek(partition, first)
    while places:
        records = await consumer.getmany(*places, timeout_ms=_POLL_MS, max_records=most)
        polled = []
        for partition, of_partition in records.items():
            one = wanted[partition]
            inside = [record for record in of_partition if record.offset < one.end]
            if inside:
                polled.append(_polled(one, places[partition], inside))
                places[partition] = inside[-1].offset + 1
            if len(inside) < len(of_partition):
                places[partition] = one.end
        if polled:
            yield polled
        for partition in list(places):
            if places[partition] >= wanted[partition].end or (
                not polled and await consumer.position(partition) >= wanted[partition].end
            ):
                del places[partition]
                consumer.pause(partition)


def _polled(one: LogRange, expected: int, records: Sequence[ConsumerRecord]) -> Polled:
    return Polled(
        one.log,
        one.topic,
        one.partition,
        expected,
        [record.offset for record in records],
        [record.key for record in records],
        [record.value for record in records],
    )


async def _check(consumer: AIOKafkaConsumer, wanted: dict[TopicPartition, LogRange]) -> None:
    begins, ends = await consumer.beginning_offsets(list(wanted)), await consumer.end_offsets(list(wanted))
    for partition, one in wanted.items():
        place = f"{one.topic}/{one.partition}"
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
