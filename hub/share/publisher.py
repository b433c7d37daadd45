"""Send records to Kafka in one transaction; a record that the broker refuses is found, and does not delay the others.

If a transaction fails because of a record, it is rolled back. Then halves of it are sent in their own transactions
until the failing records are found. Each key occurs once in what is sent together, so halving keeps the order.
"""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    ProducerFenced,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)
from aiokafka.partitioner import murmur2

from hub.model.errors import ConcurrentUpdateError, RetryableError, UnreachableError
from hub.model.set_aside import Refusal, SetAside
from hub.share.outgoing import Outgoing
from hub.topology import MAX_SHARED_BYTES

MOST_BYTES = MAX_SHARED_BYTES - 4_096
"""Limit for key, value and headers: Kafka's own bytes around a record must fit as well."""

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
"""Errors of the broker, or of the client before sending, that concern one record; all other errors concern the broker.
"""

Refused = list[tuple[Outgoing, Refusal]]


class Publisher:
    """A transactional producer; an async context manager.

    Fields:
        partitions: number of partitions to fill, by topic; all, for a topic that is not named.
    """

    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        self.partitions: Mapping[str, int] = {}
        self._bootstrap = bootstrap
        self._transactional_id = transactional_id
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> "Publisher":
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def publish(self, outgoing: Sequence[Outgoing]) -> Refused:
        """Send records; return those that cannot be sent, with the reason. All others are committed on return.

        Raises:
            ConcurrentUpdateError: another instance publishes now.
            RetryableError: the broker accepts nothing now.
        """
        refused = [(item, _too_large(item)) for item in outgoing if item.size > MOST_BYTES]
        await self._send([item for item in outgoing if item.size <= MOST_BYTES], refused)
        return refused

    async def _send(self, outgoing: Sequence[Outgoing], refused: Refused) -> None:
        if not outgoing:
            return
        try:
            await self._send_at_once(outgoing)
        except ABOUT_A_RECORD as error:
            # The failed record left a gap in the producer's sequence numbers: start a new producer.
            await self._close()
            await self._open()
            if len(outgoing) == 1:
                refused.append((outgoing[0], _refused_by_broker(outgoing[0], error)))
                return
            half = len(outgoing) // 2
            await self._send(outgoing[:half], refused)
            await self._send(outgoing[half:], refused)

    async def _send_at_once(self, outgoing: Sequence[Outgoing]) -> None:
        producer = self._producer
        if producer is None:
            raise RetryableError("share has no producer")
        try:
            filled = {topic: await self._filled(producer, topic) for topic in {item.topic for item in outgoing}}
            async with producer.transaction():
                sent = [
                    await producer.send(
                        item.topic,
                        item.value,
                        key=item.key,
                        partition=partition_of(item.key, filled[item.topic]),
                        headers=list(item.headers),
                    )
                    for item in outgoing
                ]
                await asyncio.gather(*sent)
        except (ProducerFenced, IllegalOperation) as error:
            raise ConcurrentUpdateError("another instance shares now") from error
        except ABOUT_A_RECORD:
            raise
        except KafkaError as error:
            raise RetryableError(f"the broker did not take what is shared ({type(error).__name__})") from error

    async def _filled(self, producer: AIOKafkaProducer, topic: str) -> int:
        there = len(await producer.partitions_for(topic))
        return min(there, self.partitions.get(topic, there))

    async def _open(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            transactional_id=self._transactional_id,
            acks="all",
            compression_type="lz4",
            linger_ms=5,
            max_request_size=MAX_SHARED_BYTES,
        )
        self._producer = producer
        try:
            await producer.start()
        except (KafkaConnectionError, KafkaError) as error:
            await self._close()
            raise UnreachableError(f"no Kafka broker answers share ({type(error).__name__})") from error

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()


def partition_of(key: bytes | None, partitions: int) -> int | None:
    """Return the partition that Kafka's clients choose for a key; None without a key: any partition."""
    return None if key is None else int(murmur2(key) & 0x7FFFFFFF) % partitions


def _too_large(item: Outgoing) -> Refusal:
    return Refusal(SetAside.TOO_LARGE, f"{item.size} bytes, more than {MOST_BYTES}", item.size)


def _refused_by_broker(item: Outgoing, error: Exception) -> Refusal:
    return Refusal(SetAside.REFUSED_BY_BROKER, f"{type(error).__name__}, {item.size} bytes", item.size)
