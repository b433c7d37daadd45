"""Publishing with aiokafka: idempotent, acknowledged by all in-sync replicas, confirmed page by page.

A page's records are packed into full batches, one after another per partition. That costs a fraction of sending
record by record. The client runs on an event loop in its own thread; for its caller this module is blocking.
"""

import asyncio
import logging
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from connectors.base.port import Record
from hub.codec.partitions import partitions_of
from hub.model.errors import HubError, RetryableError, UnreachableError
from hub.topology import MAX_LOG_RECORD_BYTES

CONFIRM_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_MS = 15_000
BATCH_BYTES = 512 * 1024
_LOOK_EVERY_S = 0.2
_CLOSE_S = 1.0
_ABSENT = (
    "KafkaTimeoutError",
    "KafkaConnectionError",
    "NoBrokersAvailable",
    "UnknownTopicOrPartitionError",
    "KafkaError",
)
"""The client raises the last one if no broker that it knows answers."""

_LOST_PRODUCER = (
    "OutOfOrderSequenceNumber",
    "InvalidProducerEpoch",
    "UnknownProducerId",
    "ProducerFenced",
    "ProducerClosed",
)
"""The broker no longer knows this producer: the next try uses a new one."""

_Result = TypeVar("_Result")


class PublishError(HubError):
    """The broker refuses permanently: a missing right, or a record it does not accept."""

    code = "PUBLISH"


class KafkaPublisher:
    """One producer, created at first use and again after a failure; unconfirmed records are published again."""

    def __init__(self, bootstrap: str, client_id: str, wait_ms: int = 10_000) -> None:
        """Take the brokers; ``wait_ms``: how long one try waits for a broker or topic to appear."""
        # while a broker is away, the client's warnings add nothing to our own line per try
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self._bootstrap = bootstrap
        self._wait_s = wait_ms / 1000
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._partitions: dict[str, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Send records and wait until every one is confirmed; see ``Publisher``.

        Raises:
            RetryableError: not all were confirmed.
            PublishError: the broker refuses permanently.
        """
        try:
            self._run(self._publish(topic, records))
        except (KafkaError, TimeoutError) as error:
            self.close()
            failed = error if isinstance(error, KafkaError) else KafkaTimeoutError()
            raise meaning(failed, topic) from error

    def close(self) -> None:
        """Release the broker; unconfirmed records are dropped here and published again from the checkpoint."""
        if self._loop is None or self._thread is None:
            return
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _run(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="producer", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    async def _publish(self, topic: str, records: Sequence[Record]) -> None:
        async with asyncio.timeout(CONFIRM_TIMEOUT_S):
            producer = await self._connected()
            count = await self._partition_count(producer, topic)
            parts: list[list[Record]] = [[] for _ in range(count)]
            for number, record in zip(partitions_of([key for key, _ in records], count), records, strict=True):
                parts[number].append(record)
            await asyncio.gather(*(_send(producer, topic, number, part) for number, part in enumerate(parts) if part))

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap.split(","),
                client_id=self._client_id,
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                max_batch_size=BATCH_BYTES,
                max_request_size=MAX_LOG_RECORD_BYTES,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
            except BaseException:
                await _let_go(producer)
                raise
            self._producer = producer
        return self._producer

    async def _partition_count(self, producer: AIOKafkaProducer, topic: str) -> int:
        """Return the topic's number of partitions. It asks for all topics, so that no broker creates a missing one."""
        deadline = asyncio.get_running_loop().time() + self._wait_s
        while topic not in self._partitions:
            found = (await producer.client.fetch_all_metadata()).partitions_for_topic(topic)
            if found:
                self._partitions[topic] = len(found)
            elif asyncio.get_running_loop().time() > deadline:
                raise UnknownTopicOrPartitionError
            else:
                await asyncio.sleep(_LOOK_EVERY_S)
        return self._partitions[topic]

    async def _stop(self) -> None:
        producer, self._producer = self._producer, None
        self._partitions = {}
        if producer is not None:
            await _let_go(producer)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_CLOSE_S)


async def _let_go(producer: AIOKafkaProducer) -> None:
    """Stop a producer without waiting long for its records: a page in doubt is published again."""
    await asyncio.wait([asyncio.ensure_future(producer.stop())], timeout=_CLOSE_S)


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Record]) -> None:
    """Send one partition's records in order, in batches as large as allowed, and wait for the confirmation."""
    confirmations = []
    batch = producer.create_batch()
    for key, value in records:
        if batch.append(timestamp=None, key=key, value=value) is None:
            batch.close()
            confirmations.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value)
    batch.close()
    confirmations.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*confirmations)


def meaning(error: Any, topic: str) -> HubError:
    """Return what an error of the broker means: a missing broker or topic is waited for, a refusal is not."""
    name = type(error).__name__
    if name in _ABSENT:
        return UnreachableError(f"topic {topic}: broker or topic cannot be reached: {name}")
    if not error.retriable and name not in _LOST_PRODUCER:
        return PublishError(f"topic {topic}: the broker refuses: {name}")
    return RetryableError(f"topic {topic}: {name}")
