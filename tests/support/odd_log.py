"""What others may write to the log, or do to it: batches of any bytes, transactions, damage on the disk."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient

from hub.log.topic_ids import topic_ids
from hub.operate.log.topics import create_topics
from hub.topology import topics
from tests.support.event_set import Outgoing
from tests.support.log_bytes import Said, batch


def send_batch(bootstrap: str, topic: str, partition: int, said: Sequence[Said], codec: int = 0) -> int:
    """Send records as one batch of bytes made by hand; return the first one's offset."""

    async def sent() -> int:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=16 << 20)
        await producer.start()
        try:
            made = producer.create_batch()
            for _ in said:
                made.append(key=b"k", value=b"v", timestamp=None)
            made.close()
            made._buffer = bytearray(batch(0, said, codec))
            told = await (await producer.send_batch(made, topic, partition=partition))
            return int(told.offset)
        finally:
            await producer.stop()

    return asyncio.run(sent())


class OpenTransaction:
    """A producer's transaction in one partition, as long as the test wants it open."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._producer = self._loop.run_until_complete(self._made(bootstrap, name))

    async def _made(self, bootstrap: str, name: str) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
        await producer.start()
        return producer

    def send(self, records: Sequence[Outgoing], partition: int) -> list[int]:
        """Send records, in a transaction that is begun when none is open; return their offsets."""
        return self._loop.run_until_complete(self._send(records, partition))

    async def _send(self, records: Sequence[Outgoing], partition: int) -> list[int]:
        if not self._producer._txn_manager.is_in_transaction():
            await self._producer.begin_transaction()
        sent = [
            await self._producer.send_and_wait(one.topic, one.value, key=one.key, partition=partition)
            for one in records
        ]
        return [one.offset for one in sent]

    def end(self, commit: bool) -> None:
        """End the transaction."""
        ending = self._producer.commit_transaction if commit else self._producer.abort_transaction
        self._loop.run_until_complete(ending())

    def close(self) -> None:
        """Let the producer go."""
        self._loop.run_until_complete(self._producer.stop())
        self._loop.close()


def bend_on_disk(data_dir: Path, topic: str, partition: int, needle: bytes) -> None:
    """Change one byte of what the broker has on the disk, in the only place where some bytes stand."""
    segments = [*data_dir.glob(f"**/{topic}-{partition}/*.log")]
    (path,) = [one for one in segments if needle in one.read_bytes()]
    content = path.read_bytes()
    assert content.count(needle) == 1
    with path.open("r+b") as file:
        file.seek(content.index(needle))
        file.write(bytes([needle[0] ^ 0xFF]))


def made_anew(bootstrap: str, topic: str, partitions: int) -> None:
    """Delete a topic of the topology and make it again under its name."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.delete_topics([topic])
        while topic_ids(bootstrap, [topic]):
            time.sleep(0.1)
        create_topics(bootstrap, tuple(one for one in topics(partitions) if one.name == topic), 1)
        while not topic_ids(bootstrap, [topic]):
            time.sleep(0.1)
    finally:
        admin.close()
