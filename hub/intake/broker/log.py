"""The Kafka consumer of the intake: where it reads, and what one poll returned."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from hub.intake.prepare import Polled
from hub.log.odd import OddRecord
from hub.log.stream import LogConsumer, is_odd, stream_consumer
from hub.model.errors import UnreachableError
from hub.warehouse.offsets import Position

_log = logging.getLogger(__name__)

LEAVE_S = 10.0

FETCH_BYTES_PER_PARTITION = 4 * 1_048_576
FETCH_BYTES = 32 * 1_048_576
FETCH_WAIT_MS = 50
"""How long the broker holds a fetch request when it has no new records. The client has one request in progress and
leaves out partitions whose records were not taken for 0.1 s. With the usual 500 ms, a request about quiet partitions
alone would delay the busy ones for that long.
"""
RETRY_MS = 500
METADATA_MS = 10_000
"""It takes at most this long until added partitions or a new topic are seen."""
HEARTBEATS_PER_SESSION = 4


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """What the intake polls and how.

    Fields:
        bootstrap: Kafka brokers.
        group: consumer group of the workers.
        topics: event topics.
        batch_rows: maximum number of records in a batch.
        poll_ms: longest wait for a first record.
        schema_wait_s: how long an unknown schema id is retried before it is poison.
        session_timeout_s: how long the group waits for a worker that was killed.
        lanes: number of batches that are committed at the same time.
        batch_target_s: how long a batch's transaction should last at most.
    """

    bootstrap: str
    group: str
    topics: tuple[str, ...]
    batch_rows: int
    poll_ms: int
    schema_wait_s: float
    session_timeout_s: float = 10.0
    lanes: int = 2
    batch_target_s: float = 2.0


def new_consumer(options: IntakeOptions, listener: ConsumerRebalanceListener) -> LogConsumer:
    """Return a group member, not started. It does not commit offsets, and it starts nowhere by itself."""
    session_ms = int(options.session_timeout_s * 1000)
    consumer = stream_consumer(
        options.bootstrap,
        group_id=options.group,
        max_partition_fetch_bytes=FETCH_BYTES_PER_PARTITION,
        fetch_max_bytes=FETCH_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        metadata_max_age_ms=METADATA_MS,
        retry_backoff_ms=RETRY_MS,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // HEARTBEATS_PER_SESSION,
    )
    consumer.subscribe(list(options.topics), listener=listener)
    return consumer


async def start(consumer: AIOKafkaConsumer) -> None:
    """Join the group; returns after the first assignment, which the listener has received.

    Raises:
        UnreachableError: no broker answers.
    """
    try:
        await consumer.start()
    except KafkaConnectionError as error:
        await consumer.stop()
        raise UnreachableError("no Kafka broker answers; is it up, and is HUB_KAFKA_BOOTSTRAP right?") from error


async def let_go(consumer: AIOKafkaConsumer) -> None:
    """Leave the group; wait at most ``LEAVE_S``, so that a slow broker does not delay the end of the process."""
    try:
        async with asyncio.timeout(LEAVE_S):
            await consumer.stop()
    except TimeoutError:
        _log.warning("left the group; the broker did not answer for %.0f s", LEAVE_S)


Offsets = dict[TopicPartition, int]


async def bounds(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> tuple[Offsets, Offsets]:
    """Return where the log of each partition begins and ends.

    Raises:
        UnreachableError: the broker does not answer.
    """
    try:
        return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    except KafkaError as error:
        raise UnreachableError(
            f"the broker did not answer where the log begins and ends ({type(error).__name__})"
        ) from error


@dataclass(frozen=True, slots=True)
class Taken:
    """What one poll returned of a partition.

    Fields:
        polled: the records, ready to be prepared.
        position: the position after them.
        damage: bytes in which not even record boundaries can be found; nothing after them is read.
    """

    polled: Polled
    position: Position
    damage: OddRecord | None = None


def taken(position: Position, records: Sequence[ConsumerRecord | OddRecord], reached: int = -1) -> Taken:
    """Take the records of one partition that follow a position.

    Args:
        position: where they were asked for.
        records: what was polled.
        reached: how far the log was read. This is beyond the last record if transaction markers follow it.
    """
    unreadable: dict[int, str] = {}
    damage = None
    if is_odd(records):
        damage = next((one for one in records if isinstance(one, OddRecord) and one.is_damage), None)
        if damage is not None:
            records, reached = [one for one in records if one.offset < damage.offset], damage.offset
        unreadable = {one.offset: one.why for one in records if isinstance(one, OddRecord)}
    offsets = [record.offset for record in records]
    keys, values = [record.key for record in records], [record.value for record in records]
    place = position.log, position.topic, position.partition, position.next_offset
    polled = Polled(*place, offsets, keys, values, reached, unreadable)
    return Taken(polled, replace(position, next_offset=polled.next_offset), damage)


def taken_on(
    places: dict[TopicPartition, Position],
    records: Mapping[TopicPartition, Sequence[ConsumerRecord | OddRecord]],
    reached: Callable[[TopicPartition], int],
) -> list[Taken]:
    """Take the records of one poll, and advance ``places``."""
    found = []
    for partition, of_partition in records.items():
        found.append(taken(places[partition], of_partition, reached(partition)))
        places[partition] = found[-1].position
    return found
