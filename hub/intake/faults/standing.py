"""Stopped partitions of this worker: store the stop, show it, and continue when somebody has resumed them."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from hub.intake.faults.storms import Storms
from hub.intake.patience import Patience
from hub.intake.status import Errand, IntakeStatus
from hub.warehouse.stops import Stop

_log = logging.getLogger(__name__)

RESUME_LOOK_S = 1.0


class Standing:
    """Stops of the partitions that are placed here. Used from the event loop."""

    def __init__(
        self, storms: Storms, patience: Patience, status: IntakeStatus, in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        """Take the stops, the retries, the status that shows them, and what runs a blocking call in a thread."""
        self._storms = storms
        self._patience = patience
        self._status = status
        self._in_thread = in_thread

    async def stop(self, consumer: AIOKafkaConsumer, stops: Sequence[Stop]) -> None:
        """Stop partitions durably; their polled records are polled again after somebody resumes them."""
        self._storms.standing |= {(stop.topic, stop.partition): stop for stop in stops}
        for stop in stops:
            _log.warning("%s stops at %d: %s", stop.place, stop.stop_offset, stop.why)
            if (partition := TopicPartition(stop.topic, stop.partition)) in consumer.assignment():
                consumer.pause(partition)
        if stops:
            await self._patience.until_done(Errand.STOP, lambda: self._in_thread(self._storms.store.write, stops))
        self._status.stopped = {stop.place: stop.why for stop in self._storms.standing.values()}

    async def look_for_resumed(self, are_placed: Callable[[], bool], place_anew: Callable[[], None]) -> None:
        """Have the partitions placed again if somebody has resumed one that is stopped here."""
        if self._storms.standing and are_placed():
            is_over = await self._patience.until_done(Errand.STOP, lambda: self._in_thread(self._storms.is_any_over))
            if is_over:
                _log.info("a stopped partition was resumed")
                place_anew()
