"""Faust's Kafka transport with the hub's consumer: no record on the worker's own topics makes it fail.

Anybody who may write heartbeats may write a record that the client library cannot read (hub.log.stream). Agents receive
such a record without key and value.
"""

from types import SimpleNamespace
from typing import Any

import aiokafka
from aiokafka import ConsumerRecord
from faust.transport.drivers import aiokafka as _driver

from hub.log.odd import OddRecord
from hub.log.stream import LogConsumer, swapped


class _Thread(_driver.AIOKafkaConsumerThread):  # type: ignore[misc, unused-ignore]
    """The library's thread, with the hub's consumer."""

    logger = _driver.logger

    _create_worker_consumer = swapped(
        _driver.AIOKafkaConsumerThread._create_worker_consumer,
        aiokafka=SimpleNamespace(AIOKafkaConsumer=LogConsumer, __version__=aiokafka.__version__),
    )

    async def _fetch_records(self, *arguments: Any, **named: Any) -> Any:
        found = await super()._fetch_records(*arguments, **named)
        return {partition: [_readable(record) for record in records] for partition, records in found.items()}


class _Consumer(_driver.Consumer):  # type: ignore[misc, unused-ignore]
    logger = _driver.logger

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class Transport(_driver.Transport):  # type: ignore[misc, unused-ignore]
    """The transport of a worker's app."""

    logger = _driver.logger
    Consumer = _Consumer


def _readable(record: ConsumerRecord | OddRecord) -> ConsumerRecord:
    if not isinstance(record, OddRecord):
        return record
    place = record.topic, record.partition, record.offset
    return ConsumerRecord(*place, 0, 0, None, None, None, -1, -1, ())
