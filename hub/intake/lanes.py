"""Lanes: several batches of one worker on their way into the database at a time, each on a connection of its own.

Making a batch has a price of its own, whatever its size. So what is up to date goes by one lane, the *express*: all of
it in one batch, small and soon. A partition that is far behind, as after an outage, goes by one of the *bulk* lanes
until it has caught up: its batches are large and take long, and nobody else waits for them.

A partition has its batches in one lane at a time, so they keep their order; before it changes lanes, what it has on its
way is let out. Two lanes never hold the same partition, and stand to each other as two workers do. Each lane holds one
batch that waits besides the one that is being committed, unless that one is small.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from aiokafka import ConsumerRecord, TopicPartition

from hub.intake.batch_size import BatchSize
from hub.warehouse.batch import Batch

FAR_BEHIND = 4_000
"""A partition with more records to read than this is far behind; it has caught up with a quarter of it."""

ALONE_BELOW = 1_000
"""A batch of fewer records than this, which is not full either, goes alone: the next one of its lane is polled when it
is durable. To prepare the next meanwhile makes both slower where processors are few, and a small batch waits for nobody
(docs/performance.md)."""

PRESSED_S = 3.0
"""So long after a partition was far behind the stream is taken to have much to do."""

_Result = TypeVar("_Result")
Records = dict[TopicPartition, Sequence[ConsumerRecord]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that waits for its lane, the generation of the placing that it was polled in, and its partitions."""

    generation: int
    batch: Batch
    partitions: tuple[TopicPartition, ...] = ()


class Lane:
    """One way into the database: a queue of one batch, a thread, and the bound of its batches."""

    def __init__(self, number: int, size: BatchSize) -> None:
        self.number = number
        self.size = size
        self.queue: asyncio.Queue[Prepared] = asyncio.Queue(maxsize=1)
        self.busy = asyncio.Lock()
        self.under_way: Prepared | None = None
        self._thread = ThreadPoolExecutor(1, f"commit-{number}")

    def has_room(self) -> bool:
        """Tell whether another batch may be made for this lane."""
        small = min(ALONE_BELOW, self.size.rows)
        goes_alone = self.under_way is not None and self.under_way.batch.consumed < small
        return not goes_alone and not self.queue.full()

    async def in_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Run a blocking call in this lane's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def close(self) -> None:
        """Let what runs end, drop the rest. Blocks."""
        self._thread.shutdown(wait=True, cancel_futures=True)


class Lanes:
    """The lanes of one worker. Used from the event loop; only the one who polls puts batches in."""

    def __init__(self, bulk: int, most_rows: int, target_s: float) -> None:
        """Make the express lane and so many bulk lanes; the bounds of their batches are as in ``BatchSize``."""
        self.express = Lane(0, BatchSize(most_rows, target_s))
        self.bulk = tuple(Lane(number, BatchSize(most_rows, target_s)) for number in range(1, bulk + 1))
        self.all = (self.express, *self.bulk)
        self._room = asyncio.Event()
        self._behind: set[TopicPartition] = set()
        self._under_way: dict[TopicPartition, tuple[Lane, int]] = {}
        self._behind_at = float("-inf")

    def is_pressed(self) -> bool:
        """Tell whether a partition was far behind within the last seconds."""
        return time.monotonic() - self._behind_at < PRESSED_S

    def see(self, partition: TopicPartition, records: int) -> None:
        """Take note of how many records of a partition are still to be read."""
        if records > (FAR_BEHIND // 4 if partition in self._behind else FAR_BEHIND):
            self._behind.add(partition)
            self._behind_at = time.monotonic()
        else:
            self._behind.discard(partition)

    def of(self, partition: TopicPartition) -> Lane:
        """Return the lane that a partition is to take; neighbours that are far behind take different ones."""
        if partition not in self._behind:
            return self.express
        number: int = partition.partition
        return self.bulk[number % len(self.bulk)]

    def open_to(self, partitions: Iterable[TopicPartition]) -> dict[Lane, list[TopicPartition]]:
        """Return what may be polled, by lane: where there is room, and nothing of the partition in another lane."""
        found: dict[Lane, list[TopicPartition]] = {}
        for partition in sorted(partitions):
            lane = self.of(partition)
            under_way = self._under_way.get(partition)
            if lane.has_room() and (under_way is None or under_way[0] is lane):
                found.setdefault(lane, []).append(partition)
        return found

    async def wait_for_room(self, partitions: Iterable[TopicPartition], limit_s: float) -> bool:
        """Wait until one of some partitions may be polled; False when none may after the limit."""
        waited_for = tuple(partitions)
        try:
            async with asyncio.timeout(limit_s):
                while not self.open_to(waited_for):
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            return False
        return True

    def put(self, lane: Lane, prepared: Prepared) -> None:
        """Let a batch wait for its lane, which has room."""
        for partition in prepared.partitions:
            _, batches = self._under_way.get(partition, (lane, 0))
            self._under_way[partition] = (lane, batches + 1)
        lane.queue.put_nowait(prepared)

    @asynccontextmanager
    async def next_of(self, lane: Lane) -> AsyncIterator[Prepared]:
        """Take the lane's waiting batch, which makes room; inside, the lane is busy with it."""
        prepared = lane.under_way = await lane.queue.get()
        self._room.set()
        async with lane.busy:
            try:
                yield prepared
            finally:
                lane.under_way = None
                self._let_out(prepared)

    def _let_out(self, prepared: Prepared) -> None:
        for partition in prepared.partitions:
            lane, batches = self._under_way.pop(partition)
            if batches > 1:
                self._under_way[partition] = (lane, batches - 1)
        self._room.set()

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Hold every lane still: no batch is being committed inside."""
        async with AsyncExitStack() as stack:
            for lane in self.all:
                await stack.enter_async_context(lane.busy)
            yield

    def close(self) -> None:
        """Close every lane. Blocks."""
        for lane in self.all:
            lane.close()
