"""Poll the broker: first the partitions that are up to date, then those that are far behind (hub.intake.lanes)."""

import time
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from hub.intake.lanes import Lanes, Records, SizedLane
from hub.warehouse.offsets import Position

BUSY_POLL_MS = 10
BESIDE_EXPRESS = 12_000
"""Maximum number of records in a poll of bulk partitions while express records arrive: the express lane is polled again
after they are prepared.
"""
FRESH_MS = 3
"""The first poll returns what was fetched before; the second waits this long for newer records."""
NO_PLACES: Mapping[TopicPartition, Position] = {}
EXPRESS_FLOWS_S = 3.0
"""For this many seconds after an express record, more are assumed to arrive."""


class Polling:
    """Polls with one consumer for all lanes of one worker."""

    def __init__(self, lanes: Lanes, poll_ms: int) -> None:
        """Take the lanes, and the longest wait for a first record when no batch is in progress."""
        self._lanes = lanes
        self._poll_ms = poll_ms
        self._express_at = float("-inf")

    async def poll(
        self,
        consumer: AIOKafkaConsumer,
        partitions: Iterable[TopicPartition],
        places: Mapping[TopicPartition, Position] = NO_PLACES,
    ) -> list[tuple[SizedLane, Records]]:
        """Return records of the partitions that may be polled, grouped by lane; the express lane comes first.

        If only transaction markers or aborted records of a partition were read, it is returned without records,
        provided that ``places`` holds its position before the poll.

        Raises:
            OffsetOutOfRangeError: the log no longer holds a stored offset.
        """
        wanted = set(partitions)
        by_lane = self._lanes.open_to(wanted)
        all_may = sum(map(len, by_lane.values())) == len(wanted)
        # While some partitions may not be polled, records of the others may already be there: do not wait long.
        patience_ms = self._poll_ms if all_may else BUSY_POLL_MS
        express = by_lane.pop(self._lanes.express, [])
        found: list[tuple[SizedLane, Records]] = []
        if express:
            most = self._lanes.express.size.rows
            records = await _records(consumer, express, 0 if by_lane else patience_ms, most)
            if records:
                self._express_at = time.monotonic()
                if (room := most - sum(map(len, records.values()))) > 0:
                    records = _joined(records, await _records(consumer, express, FRESH_MS, room))
                found.append((self._lanes.express, records))
        if by_lane:
            most = min(lane.size.rows for lane in by_lane)
            if time.monotonic() - self._express_at < EXPRESS_FLOWS_S:
                most = min(most, BESIDE_EXPRESS)
            behind = [partition for of_lane in by_lane.values() for partition in of_lane]
            found += self._parted(await _records(consumer, behind, 0 if found else BUSY_POLL_MS, most))
        return _with_moved(consumer, found, {self._lanes.express: express} | by_lane, places)

    def _parted(self, records: Records) -> list[tuple[SizedLane, Records]]:
        parts: dict[SizedLane, dict[TopicPartition, Sequence[ConsumerRecord]]] = {}
        for partition, of_partition in records.items():
            parts.setdefault(self._lanes.of(partition), {})[partition] = of_partition
        return [(lane, parts[lane]) for lane in self._lanes.bulk if lane in parts]


def _joined(first: Records, then: Records) -> Records:
    return {partition: [*first.get(partition, ()), *then.get(partition, ())] for partition in first | then}


def _with_moved(
    consumer: AIOKafkaConsumer,
    found: list[tuple[SizedLane, Records]],
    polled: Mapping[SizedLane, Iterable[TopicPartition]],
    places: Mapping[TopicPartition, Position],
) -> list[tuple[SizedLane, Records]]:
    """Add the partitions that were read further although they returned no record."""
    records = dict(found)
    for lane, partitions in polled.items():
        of_lane = records.get(lane, {})
        moved: dict[TopicPartition, Sequence[ConsumerRecord]] = {
            one: ()
            for one in partitions
            if one not in of_lane and one in places and consumer.reached(one) > places[one].next_offset
        }
        if moved:
            records[lane] = {**of_lane, **moved}
    return list(records.items())


async def _records(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], patience_ms: int, most: int
) -> Records:
    records: Records = await consumer.getmany(*partitions, timeout_ms=patience_ms, max_records=most)
    return records
