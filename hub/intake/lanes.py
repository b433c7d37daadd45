"""Lanes: a worker commits several batches at the same time, each on its own database connection.

Every batch has a fixed cost, whatever its size. So all partitions that are up to date share one lane, the *express*
lane: their records form one small batch that is committed soon. A partition that is far behind, for example after an
outage, uses one of the *bulk* lanes until it has caught up. Its batches are large and slow, and no other partition
waits for them.

A partition has its batches in one lane at a time, so their order is kept. Before it changes lanes, its batches in
progress must end. Two lanes never hold the same partition; they relate to each other as two workers do. Besides the
batch being committed, each lane holds one waiting batch, unless the one being committed is small.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from aiokafka import ConsumerRecord, TopicPartition

from hub.intake.batch_size import BatchSize
from hub.intake.flow import Lane, Prepared

FAR_BEHIND = 4_000
"""A partition with more unread records than this is far behind. It has caught up when fewer than a quarter of this
remain.
"""

ALONE_BELOW = 1_000
"""A batch with fewer records than this, and not full, is processed alone: its lane polls the next batch when this one
is durable. Preparing the next batch meanwhile makes both slower on few processors, and little waits behind a small
batch (docs/performance.md).
"""

PRESSED_S = 3.0
"""The worker counts as under load for this many seconds after a partition was far behind."""

_Result = TypeVar("_Result")
Records = dict[TopicPartition, Sequence[ConsumerRecord]]


class SizedLane(Lane):
    """A lane with an upper bound for batch sizes."""

    def __init__(self, number: int, size: BatchSize) -> None:
        super().__init__(number)
        self.size = size

    def has_room(self) -> bool:
        """Tell whether another batch may be prepared for this lane."""
        small = min(ALONE_BELOW, self.size.rows)
        goes_alone = self.under_way is not None and self.under_way.batch.consumed < small
        return not goes_alone and not self.queue.full()


class Lanes:
    """The lanes of one worker. Used from the event loop; only the poll loop adds batches."""

    def __init__(self, bulk: int, most_rows: int, target_s: float) -> None:
        """Create the express lane and ``bulk`` bulk lanes; the bounds of their batches are as in ``BatchSize``."""
        self.express = SizedLane(0, BatchSize(most_rows, target_s))
        self.bulk = tuple(SizedLane(number, BatchSize(most_rows, target_s)) for number in range(1, bulk + 1))
        self.all = (self.express, *self.bulk)
        self._room = asyncio.Event()
        self._behind: set[TopicPartition] = set()
        self._under_way: dict[TopicPartition, tuple[SizedLane, int]] = {}
        self._behind_at = float("-inf")

    def is_pressed(self) -> bool:
        """Tell whether a partition was far behind within the last ``PRESSED_S`` seconds."""
        return time.monotonic() - self._behind_at < PRESSED_S

    def see(self, partition: TopicPartition, records: int) -> None:
        """Note how many records of a partition are unread."""
        if records > (FAR_BEHIND // 4 if partition in self._behind else FAR_BEHIND):
            self._behind.add(partition)
            self._behind_at = time.monotonic()
        else:
            self._behind.discard(partition)

    def of(self, partition: TopicPartition) -> SizedLane:
        """Return a partition's lane. Partitions with successive numbers that are far behind get different lanes."""
        if partition not in self._behind:
            return self.express
        number: int = partition.partition
        return self.bulk[number % len(self.bulk)]

    def open_to(self, partitions: Iterable[TopicPartition]) -> dict[SizedLane, list[TopicPartition]]:
        """Return the partitions that may be polled, by lane.

        A partition may be polled if its lane has room and no other lane holds batches of it.
        """
        found: dict[SizedLane, list[TopicPartition]] = {}
        for partition in sorted(partitions):
            lane = self.of(partition)
            under_way = self._under_way.get(partition)
            if lane.has_room() and (under_way is None or under_way[0] is lane):
                found.setdefault(lane, []).append(partition)
        return found

    async def wait_for_room(self, partitions: Iterable[TopicPartition], limit_s: float) -> bool:
        """Wait until one of some partitions may be polled; False if none may within ``limit_s``."""
        waited_for = tuple(partitions)
        try:
            async with asyncio.timeout(limit_s):
                while not self.open_to(waited_for):
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            return False
        return True

    def put(self, lane: SizedLane, prepared: Prepared) -> None:
        """Queue a batch in its lane, which has room."""
        for partition in prepared.partitions:
            _, batches = self._under_way.get(partition, (lane, 0))
            self._under_way[partition] = (lane, batches + 1)
        lane.queue.put_nowait(prepared)

    @asynccontextmanager
    async def next_of(self, lane: SizedLane) -> AsyncIterator[Prepared]:
        """Take the lane's waiting batch, which makes room; the lane is busy inside this context."""
        async with lane.next(self._room.set) as prepared:
            try:
                yield prepared
            finally:
                self._let_out(prepared)

    def _let_out(self, prepared: Prepared) -> None:
        for partition in prepared.partitions:
            lane, batches = self._under_way.pop(partition)
            if batches > 1:
                self._under_way[partition] = (lane, batches - 1)
        self._room.set()

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Hold all lanes: no batch is being committed inside this context."""
        async with AsyncExitStack() as stack:
            for lane in self.all:
                await stack.enter_async_context(lane.busy)
            yield
