"""Send records within a transaction that is open, and find what the broker did not accept: a record, or a topic."""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    PolicyViolationError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedForMessageFormatError,
)
from aiokafka.partitioner import murmur2

from hub.codec.partitions import column_of_partitions
from hub.model.keys import KEY_BYTES
from hub.share.send.batches import batches_of
from hub.share.send.parcel import Parcel

SEND_S = 60.0
"""Longest time to send; the Kafka client itself would wait for ever."""

ABOUT_A_RECORD = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTimestampError,
    PolicyViolationError,
    UnsupportedForMessageFormatError,
    TypeError,
    ValueError,
    AssertionError,
)
"""Errors of the broker, or of the client before sending, that concern one record."""

ABOUT_A_TOPIC = (
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    InvalidTopicError,
    NotEnoughReplicasError,
    NotEnoughReplicasAfterAppendError,
)
"""Errors that concern one topic."""

_AT_ONCE = (ProducerFenced, IllegalOperation, *ABOUT_A_RECORD)

Sending = list[tuple[str, "asyncio.Future[object]"]]
"""Topic and future of each batch that the producer has."""

Failed = dict[str, Exception]
"""An error of each topic that did not accept all its records."""


async def send_all(producer: AIOKafkaProducer, outgoing: Sequence[Parcel], partitions: Mapping[str, int]) -> Failed:
    """Send records within a transaction; return an error for each topic that did not accept all of them.

    Args:
        producer: with an open transaction.
        outgoing: the records.
        partitions: number of partitions to fill, by topic; all, for a topic that is not named.

    Raises:
        KafkaError: one that concerns a record, or the producer: another one has taken its place.
    """
    sending: Sending = []
    try:
        return await _send_each(producer, outgoing, partitions, sending)
    finally:
        for _, future in sending:
            if not future.done():
                # A later failure has the same cause; nobody waits for it.
                future.add_done_callback(lambda late: late.cancelled() or late.exception())


async def _send_each(
    producer: AIOKafkaProducer, outgoing: Sequence[Parcel], partitions: Mapping[str, int], sending: Sending
) -> Failed:
    for parcel in outgoing:
        try:
            there = len(await producer.partitions_for(parcel.topic))
            filled = min(there, partitions.get(parcel.topic, there))
            for partition, batch in batches_of(parcel, partitions_for(parcel.keys, filled)):
                future = await producer.send_batch(batch, parcel.topic, partition=partition)
                sending.append((parcel.topic, future))
        except _AT_ONCE:
            raise
        except KafkaError as error:
            return _failed(sending) | {parcel.topic: error}
    _, pending = await asyncio.wait(
        [future for _, future in sending], timeout=SEND_S, return_when=asyncio.FIRST_EXCEPTION
    )
    failed = _failed(sending)
    if pending and not failed:
        return {topic: KafkaTimeoutError() for topic, future in sending if future in pending}
    return failed


def _failed(sending: Sending) -> Failed:
    """Return the failures known by now; raises an error that concerns a record or the producer."""
    found: Failed = {}
    for topic, future in sending:
        error = future.exception() if future.done() and not future.cancelled() else None
        if isinstance(error, _AT_ONCE):
            raise error
        if isinstance(error, Exception):
            found[topic] = error
    return found


def broken_topics(failed: Failed, topics: Collection[str]) -> dict[str, str]:
    """Return the topics at fault, with the reason; none if the broker is at fault: it accepts nothing for any topic."""
    own = {topic: error for topic, error in failed.items() if isinstance(error, ABOUT_A_TOPIC)}
    if not own and set(failed) == set(topics):
        return {}
    return {topic: f"the broker accepts nothing ({type(error).__name__})" for topic, error in (own or failed).items()}


def partitions_for(keys: pa.Array, count: int) -> pa.Array:
    """Return the partition that Kafka's clients choose for each key; any partition for a record without a key."""
    if keys.null_count or not pc.all(pc.equal(pc.binary_length(keys), KEY_BYTES), min_count=0).as_py():
        return pa.array([_partition_of(key, count) for key in keys.to_pylist()], pa.int32())
    return column_of_partitions(keys, count)


def _partition_of(key: bytes | None, count: int) -> int:
    return random.randrange(count) if key is None else int(murmur2(key) & 0x7FFFFFFF) % count  # noqa: S311 - no secret
