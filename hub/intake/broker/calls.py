"""The intake's other calls to the broker: write group offsets for lag tools, and check that the broker answers."""

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from hub.intake.patience import Patience
from hub.intake.status import Errand
from hub.warehouse.batch import Advance

_log = logging.getLogger(__name__)

GROUP_COMMIT_EVERY_S = 1.0
WATCH_EVERY_S = 1.0
WATCH_ANSWER_S = 3.0


class GroupOffsets:
    """Writes the offsets that PostgreSQL already holds to Kafka, for lag tools only; the hub never reads them back."""

    def __init__(self) -> None:
        self._done: dict[TopicPartition, int] = {}

    def note(self, advances: Sequence[Advance]) -> None:
        """Remember the offsets that a committed batch reached."""
        for advance in advances:
            self._done[TopicPartition(advance.topic, advance.partition)] = advance.next_offset

    async def tell(self, consumer: AIOKafkaConsumer) -> None:
        """Write the remembered offsets once. If the broker refuses, a later offset of the partition replaces them."""
        mine = consumer.assignment()
        done = {partition: offset for partition, offset in self._done.items() if partition in mine}
        self._done = {}
        if done:
            try:
                await consumer.commit(done)
            except KafkaError as error:
                _log.info("group offsets not written (%s); the stored offsets are the truth", type(error).__name__)


async def look_for_broker(consumer: AIOKafkaConsumer, patience: Patience) -> None:
    """Detect that the broker is unreachable. No call fails in that case: polls only return nothing."""
    try:
        async with asyncio.timeout(WATCH_ANSWER_S):
            await consumer.end_offsets(sorted(consumer.assignment()))
    except (KafkaError, TimeoutError):
        patience.waits(Errand.WATCH, "the Kafka brokers of the assigned partitions do not answer")
    else:
        patience.goes_on(Errand.WATCH)
