"""Send records to Kafka in one transaction; a record or a topic that the broker refuses does not delay the others.

If a transaction fails because of a record, it is rolled back. Then halves of it are sent in their own transactions
until the failing records are found. If it fails because of a topic, the records of all other topics are sent without
it. Each key occurs once in what is sent together, so parts keep the order.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow.compute as pc
from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaConnectionError, KafkaError, ProducerFenced

from hub.model.errors import ConcurrentUpdateError, RetryableError, UnreachableError
from hub.model.set_aside import Refusal, SetAside
from hub.share.send.outgoing import Outgoing, Refused
from hub.share.send.parcel import Parcel, parcels_of
from hub.share.send.transaction import ABOUT_A_RECORD, SEND_S, broken_topics, send_all
from hub.topology import MAX_SHARED_BYTES

MOST_BYTES = MAX_SHARED_BYTES - 4_096
"""Limit for key, value and headers: Kafka's own bytes around a record must fit as well."""

CLOSE_S = 5.0
"""Longest time to close a producer in order; then its connections are cut, and the broker ends its transaction."""


@dataclass(slots=True)
class Sent:
    """The result of sending: refused records, and ``broken`` topics that accepted nothing, each with the reason."""

    refused: Refused = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


class _TopicsError(Exception):
    """Some topics accept nothing; ``broken``: the reason by topic."""

    def __init__(self, broken: dict[str, str]) -> None:
        super().__init__(", ".join(broken))
        self.broken = broken


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

    async def publish(self, outgoing: Sequence[Outgoing | Parcel]) -> Sent:
        """Send records; return those that cannot be sent, and broken topics. All others are committed on return.

        If it is cancelled, consumers see nothing of the open transaction, and the publisher can be used again.

        Raises:
            ConcurrentUpdateError: another instance publishes now.
            RetryableError: the broker accepts nothing now.
        """
        parcels = [item for item in outgoing if isinstance(item, Parcel)]
        parcels += parcels_of([item for item in outgoing if isinstance(item, Outgoing)])
        sent = Sent()
        if self._producer is None:
            await self._open()
        await self._send([parcel for whole in parcels if len(parcel := _that_fit(whole, sent))], sent)
        return sent

    async def _send(self, outgoing: Sequence[Parcel], sent: Sent) -> None:
        outgoing = [parcel for parcel in outgoing if parcel.topic not in sent.broken]
        if not outgoing:
            return
        try:
            await self._send_at_once(outgoing)
        except _TopicsError as error:
            await self._anew()
            sent.broken |= error.broken
            await self._send(outgoing, sent)
        except ABOUT_A_RECORD as error:
            await self._anew()
            if sum(len(parcel) for parcel in outgoing) == 1:
                refused = outgoing[0].single(0)
                sent.refused.append((refused, _refused_by_broker(outgoing[0].sizes[0].as_py(), error)))
                return
            for half in _halves(outgoing):
                await self._send(half, sent)
        except BaseException:
            # Cancelled, or the broker is unreachable: closing in order would wait for the transaction, maybe for ever.
            await self._close(in_order=False)
            raise

    async def _send_at_once(self, outgoing: Sequence[Parcel]) -> None:
        producer = self._producer
        if producer is None:
            raise RetryableError("share has no producer")
        try:
            async with asyncio.timeout(SEND_S):
                await producer.begin_transaction()
            failed = await send_all(producer, outgoing, self.partitions)
            if broken := broken_topics(failed, {item.topic for item in outgoing}):
                raise _TopicsError(broken)
            for error in failed.values():
                raise error
            async with asyncio.timeout(SEND_S):
                await producer.commit_transaction()
        except (ProducerFenced, IllegalOperation) as error:
            raise ConcurrentUpdateError("another instance publishes now") from error
        except ABOUT_A_RECORD:
            raise
        except (KafkaError, TimeoutError) as error:
            raise RetryableError(f"the broker did not accept the records ({type(error).__name__})") from error

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

    async def _anew(self) -> None:
        """Start a new producer: the failed record left a gap in the old one's sequence numbers."""
        if self._producer is not None:
            ended = self._producer._txn_manager.wait_for_transaction_end()
            # Read a failure that is known already: asyncio logs failures that nobody reads.
            _ = ended.done() and not ended.cancelled() and ended.exception()
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._producer.abort_transaction()
        await self._close(in_order=False)
        await self._open()

    async def _close(self, in_order: bool = True) -> None:
        """Close the producer; not in order, or not in time: what it has not sent is dropped."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        if in_order:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await producer.stop()
            except TimeoutError:
                in_order = False
        if not in_order:
            # The client cannot close while it has records that can never be sent, for example to a deleted topic.
            # The broker ends the transaction when the next producer of this name starts.
            await producer._sender.close()
            await producer.client.close()
            producer._closed = True


def _that_fit(parcel: Parcel, sent: Sent) -> Parcel:
    """Return the records that are small enough; note the others as refused."""
    fits = pc.less_equal(parcel.sizes, MOST_BYTES)
    if pc.all(fits).as_py():
        return parcel
    for place in pc.indices_nonzero(pc.invert(fits)).to_pylist():
        sent.refused.append((parcel.single(place), _too_large(parcel.sizes[place].as_py())))
    return parcel.only(fits)


def _halves(parcels: Sequence[Parcel]) -> tuple[Sequence[Parcel], Sequence[Parcel]]:
    half = len(parcels) // 2
    if half:
        return parcels[:half], parcels[half:]
    (alone,) = parcels
    middle = len(alone) // 2
    return [alone.part(0, middle)], [alone.part(middle, len(alone))]


def _too_large(size: int) -> Refusal:
    return Refusal(SetAside.TOO_LARGE, f"{size} bytes, more than {MOST_BYTES}", size)


def _refused_by_broker(size: int, error: Exception) -> Refusal:
    return Refusal(SetAside.REFUSED_BY_BROKER, f"{type(error).__name__}, {size} bytes", size)
