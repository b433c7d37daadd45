"""Lanes: several batches of one worker on their way into the database at a time, each on a connection of its own.

A partition always takes the same lane, so its batches keep their order; two lanes never hold the same partition, and
stand to each other as two workers do. Each lane holds one batch that waits besides the one that is being committed.

Making a batch has a price of its own, whatever its size. While little comes in, what was polled is not parted: a
*shared* batch takes the first lane and holds the others still. When much comes in, the shared batches on their way are
let out first, and the lanes part the work again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from aiokafka import ConsumerRecord, TopicPartition

from hub.intake.batch_size import BatchSize
from hub.warehouse.batch import Batch

SHARED_BELOW = 4_000
"""Fewer records than this in one poll are little: one batch of them is quicker than one for each lane."""

PRESSED_S = 3.0
"""So long after a poll that was not little the stream is taken to have much to do."""

_Result = TypeVar("_Result")
Records = Mapping[TopicPartition, Sequence[ConsumerRecord]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that waits for its lane, the generation of the placing that it was polled in, whether it is shared."""

    generation: int
    batch: Batch
    is_shared: bool = False


class Lane:
    """One way into the database: a queue of one batch, a thread, and the bound of its batches."""

    def __init__(self, number: int, size: BatchSize) -> None:
        self.number = number
        self.size = size
        self.queue: asyncio.Queue[Prepared] = asyncio.Queue(maxsize=1)
        self.busy = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, f"commit-{number}")

    @property
    def is_idle(self) -> bool:
        """Whether no batch waits here or is being committed."""
        return self.queue.empty() and not self.busy.locked()

    async def in_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Run a blocking call in this lane's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def close(self) -> None:
        """Let what runs end, drop the rest. Blocks."""
        self._thread.shutdown(wait=True, cancel_futures=True)


class Lanes:
    """The lanes of one worker."""

    def __init__(self, count: int, most_rows: int, target_s: float) -> None:
        self.all = tuple(Lane(number, BatchSize(most_rows, target_s)) for number in range(count))
        self._room = asyncio.Event()
        self._shared = 0
        self._must_part = False
        self._much_at = float("-inf")

    def is_pressed(self) -> bool:
        """Tell whether very much has come in within the last seconds."""
        return time.monotonic() - self._much_at < PRESSED_S

    @property
    def first(self) -> Lane:
        """The lane that does what is not bound to a partition."""
        return self.all[0]

    def of(self, partition: TopicPartition) -> Lane:
        """Return the lane of a partition: neighbours in a topic take different ones."""
        number: int = partition.partition
        return self.all[number % len(self.all)]

    def with_room(self) -> list[Lane]:
        """Return the lanes whose next batch may be prepared; nobody but the caller takes the room away."""
        if self._shared:
            return [] if self._must_part or self.first.queue.full() else list(self.all)
        return [lane for lane in self.all if not lane.queue.full()]

    async def wait_for_room(self, limit_s: float) -> bool:
        """Wait until a lane has room; False when none has after the limit."""
        self._room.clear()
        if self.with_room():
            return True
        try:
            await asyncio.wait_for(self._room.wait(), limit_s)
        except TimeoutError:
            return False
        return True

    def put(self, lane: Lane, prepared: Prepared) -> None:
        """Let a batch wait for its lane, which has room."""
        self._shared += prepared.is_shared
        lane.queue.put_nowait(prepared)

    @asynccontextmanager
    async def next_of(self, lane: Lane) -> AsyncIterator[Prepared]:
        """Take the lane's waiting batch, which makes room; inside, the lane (if it is shared: every lane) is busy."""
        prepared = await lane.queue.get()
        self._room.set()
        async with self.quiet() if prepared.is_shared else lane.busy:
            try:
                yield prepared
            finally:
                self._shared -= prepared.is_shared
                self._must_part = self._must_part and self._shared > 0
        self._room.set()

    def split(self, records: Records) -> list[tuple[Lane, Records, bool]]:
        """Part the records of one poll by lane, or give them all to the first lane, shared; the flag says which."""
        if not records:
            return []
        is_little = sum(map(len, records.values())) < SHARED_BELOW
        if not is_little:
            self._much_at = time.monotonic()
        if self._shared or (is_little and all(lane.is_idle for lane in self.all)):
            self._must_part = not is_little
            return [(self.first, records, True)]
        parts: dict[int, dict[TopicPartition, Sequence[ConsumerRecord]]] = {}
        for partition, of_partition in records.items():
            parts.setdefault(self.of(partition).number, {})[partition] = of_partition
        return [(self.all[number], part, False) for number, part in sorted(parts.items())]

    def partitions_of(self, lanes: Iterable[Lane], assigned: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Return the assigned partitions that take one of some lanes."""
        wanted = {lane.number for lane in lanes}
        return sorted(partition for partition in assigned if self.of(partition).number in wanted)

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
