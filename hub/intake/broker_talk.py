"""What the intake says to the broker and asks it beside polling: offsets for lag tools, and whether it is there."""

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
    """Tells Kafka, for lag tools, what PostgreSQL has already made true; nothing reads it back."""

    def __init__(self) -> None:
        self._done: dict[TopicPartition, int] = {}

    def note(self, advances: Sequence[Advance]) -> None:
        """Take note of what a committed batch moved."""
        for advance in advances:
            self._done[TopicPartition(advance.topic, advance.partition)] = advance.next_offset

    async def tell(self, consumer: AIOKafkaConsumer) -> None:
        """Tell it once; what the broker does not take now is told with what comes next."""
        mine = consumer.assignment()
        done = {partition: offset for partition, offset in self._done.items() if partition in mine}
        self._done = {}
        if done:
            try:
                await consumer.commit(done)
            except KafkaError as error:
                _log.info("group offsets not written (%s); the stored offsets are the truth", type(error).__name__)


async def look_for_broker(consumer: AIOKafkaConsumer, patience: Patience) -> None:
    """Notice that the broker is away even when no call fails: polling only stays empty then."""
    try:
        async with asyncio.timeout(WATCH_ANSWER_S):
            await consumer.end_offsets(sorted(consumer.assignment()))
    except (KafkaError, TimeoutError):
        patience.waits(Errand.WATCH, "the Kafka brokers of the assigned partitions do not answer")
    else:
        patience.goes_on(Errand.WATCH)
