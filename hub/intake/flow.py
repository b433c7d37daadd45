"""Batches on their way into the database: one thread prepares them ahead; each lane commits its own, in order.

The worker's intake and a replay read in different ways. From there on, their batches take the same path.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiokafka import TopicPartition

from hub.warehouse.batch import Batch

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that waits for its lane, the generation in which it was polled, and its partitions."""

    generation: int
    batch: Batch
    partitions: tuple[TopicPartition, ...] = ()


class Lane:
    """One way into the database: a queue of one batch, and a thread. Used from the event loop."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: asyncio.Queue[Prepared] = asyncio.Queue(maxsize=1)
        self.busy = asyncio.Lock()
        self.under_way: Prepared | None = None
        self._thread = ThreadPoolExecutor(1, f"commit-{number}")

    @asynccontextmanager
    async def next(self, made_room: Callable[[], None] = lambda: None) -> AsyncIterator[Prepared]:
        """Take the waiting batch, which makes room; the lane is busy inside this context."""
        prepared = self.under_way = await self.queue.get()
        made_room()
        async with self.busy:
            try:
                yield prepared
            finally:
                self.under_way = None
                self.queue.task_done()

    async def in_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Run a blocking call in this lane's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def close(self) -> None:
        """Wait for the running call; drop the others. Blocks."""
        self._thread.shutdown(wait=True, cancel_futures=True)


_Lane = TypeVar("_Lane", bound=Lane)


class Flow(Generic[_Lane]):
    """Runs a reader and the lanes that commit at the same time; the first error of any of them ends all."""

    def __init__(
        self,
        lanes: Sequence[_Lane],
        take: Callable[[_Lane], AbstractAsyncContextManager[Prepared]],
        commit: Callable[[_Lane, Prepared], Awaitable[None]],
    ) -> None:
        """Take the lanes, how a lane's next batch is taken (``Lane.next``), and how it is committed."""
        self._lanes = lanes
        self._take = take
        self._commit = commit
        self._decode_thread = ThreadPoolExecutor(1, "decode")

    async def run(self, reading: Coroutine[Any, Any, None], beside: Iterable[Coroutine[Any, Any, None]] = ()) -> None:
        """Run until ``reading`` ends and everything that it queued is committed; then end the loops in ``beside``."""
        try:
            async with asyncio.TaskGroup() as tasks:
                loops = [tasks.create_task(loop) for loop in (*map(self._commit_loop, self._lanes), *beside)]
                await reading
                for lane in self._lanes:
                    await lane.queue.join()
                for loop in loops:
                    loop.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def in_decode_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Run a blocking call in the thread that prepares batches."""
        return await asyncio.get_running_loop().run_in_executor(self._decode_thread, call, *arguments)

    def close(self) -> None:
        """Wait for the running commits only. Blocks."""
        self._decode_thread.shutdown(wait=False, cancel_futures=True)
        for lane in self._lanes:
            lane.close()

    async def _commit_loop(self, lane: _Lane) -> None:
        while True:
            async with self._take(lane) as prepared:
                await self._commit(lane, prepared)
