"""Publishing with kafka-python: idempotent, acknowledged by all in-sync replicas, confirmed page by page."""

import logging
import struct
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from connectors.port import Record
from hub.model.errors import HubError, RetryableError, UnreachableError
from hub.topology import MAX_LOG_RECORD_BYTES

CONFIRM_TIMEOUT_S = 60.0
_WORDS = struct.Struct("<4I")
_MASK = 0xFFFFFFFF


class PublishError(HubError):
    """The broker refuses for good: no such right, a record it does not take."""

    code = "PUBLISH"


class KafkaPublisher:
    """One producer, made when first needed, and made anew after a failure: what it still held is published again."""

    def __init__(self, bootstrap: str, client_id: str, wait_ms: int = 10_000) -> None:
        """Take the brokers; ``wait_ms``: how long one try waits for a broker or topic to be there."""
        self._bootstrap = bootstrap
        self._wait_ms = wait_ms
        self._client_id = client_id
        self._producer: Any = None

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Send records and wait until every one is confirmed; see ``Publisher``.

        Raises:
            RetryableError: not all were confirmed.
            PublishError: the broker refuses for good.
        """
        try:
            producer = self._connected()
            partitions = len(producer.partitions_for(topic))
            send = producer.send
            pending = [
                send(topic, value=value, key=key, partition=partition_of(key, partitions)) for key, value in records
            ]
            producer.flush(CONFIRM_TIMEOUT_S)
            for future in pending:
                if not future.succeeded():
                    future.get(0)
        except KafkaError as error:
            self.close()
            raise meaning(error, topic) from error

    def close(self) -> None:
        """Let go of the broker; what was not confirmed is dropped here and published again from the checkpoint."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # a second at most: the records are not waited for
            producer.close(timeout=1)

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap.split(","),
                client_id=self._client_id,
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                batch_size=256 * 1024,
                linger_ms=20,
                max_request_size=MAX_LOG_RECORD_BYTES,
                max_block_ms=self._wait_ms,
                request_timeout_ms=15_000,
                delivery_timeout_ms=int(CONFIRM_TIMEOUT_S * 1000) - 5_000,
                bootstrap_timeout_ms=self._wait_ms,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        return self._producer


def meaning(error: KafkaError, topic: str) -> HubError:
    """Return what an error of the broker means: an absent broker or topic is waited for, a refusal is not."""
    name = type(error).__name__
    if not error.retriable:
        return PublishError(f"topic {topic}: the broker refuses: {name}")
    if name in ("KafkaTimeoutError", "KafkaConnectionError", "NoBrokersAvailable", "UnknownTopicOrPartitionError"):
        return UnreachableError(f"topic {topic}: broker or topic cannot be reached: {name}")
    return RetryableError(f"topic {topic}: {name}")


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition Kafka's default partitioner gives a 16-byte key (murmur2), as the Java client does."""
    state = 0x9747B28C ^ len(key)
    for word in _WORDS.unpack(key):
        mixed = word * 0x5BD1E995 & _MASK
        mixed = (mixed ^ mixed >> 24) * 0x5BD1E995 & _MASK
        state = (state * 0x5BD1E995 & _MASK) ^ mixed
    state = (state ^ state >> 13) * 0x5BD1E995 & _MASK
    return ((state ^ state >> 15) & 0x7FFFFFFF) % partitions


# its per-connection warnings while a broker is away say no more than our own line per try
logging.getLogger("kafka").setLevel(logging.ERROR)
