"""The way of replayed events into the shadow: read, prepared, sieved, merged; as live ones, but for the sieve.

One thread prepares, two commit, each its own partitions, as the lanes of a worker do. A batch's position is moved in
the transaction that stores the batch, so a process that is killed goes on where the shadow stands (I1, I2).
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl
from sqlalchemy import Connection, Engine, bindparam, select, update

from hub.intake.prepare import Polled, Preparer
from hub.model.entities import ENTITIES
from hub.model.errors import HubError
from hub.operate.replay.event_log import LogRange, Reader
from hub.operate.replay.ground import in_live
from hub.operate.replay.rate import RateCap
from hub.operate.replay.select import Sieve
from hub.operate.replay.store import Asked, asked_of
from hub.reconcile.fence import Stamp
from hub.reconcile.merge import Merged, commit_batch
from hub.reconcile.shared.stage import ensure_stages_of
from hub.reconcile.store import WarehouseStore
from hub.retry import ENVIRONMENT
from hub.topology import event_topic
from hub.warehouse.batch import Batch
from hub.warehouse.tables.core import log_partition
from hub.warehouse.tables.entities import all_aspect_tables
from hub.warehouse.tables.replays import replay_position

LANES = 2
SWEEP_EVERY_S = 1.0
LOOK_EVERY_S = 0.5
"""How often a replay that is paused looks whether it may go on."""


class CancelledError(HubError):
    """Somebody asked the replay to stop."""

    code = "REPLAY_CANCELLED"


@dataclass(slots=True)
class Progress:
    """How far a reading is: events to read, read, selected, released from parking; whether it is held."""

    total: int
    read: int = 0
    selected: int = 0
    released: int = 0
    is_paused: bool = False


class ShadowStore(WarehouseStore):
    """Commits to the shadow, and moves the replay's positions in the same transaction."""

    def __init__(self, shadow: Engine, stamp: Stamp, parking_deadline: timedelta, partition: tuple[str, int]) -> None:
        """Commit under one stamp, for one replay: ``of`` is the live schema and the replay's number."""
        super().__init__(shadow, stamp, parking_deadline)
        self._live_schema, self._replay = partition

    def commit_patiently(self, batch: Batch, sleep: Callable[[float], None]) -> Merged:
        """Make a batch durable; see ``WarehouseStore.commit``. Blocks while the environment is away."""
        for attempt in ENVIRONMENT.retrying(sleep):
            with attempt:
                return self.commit(batch)
        raise AssertionError  # the retries above end by returning or raising

    def _commit_on(self, connection: Connection, batch: Batch) -> Merged:
        ensure_stages_of(connection, batch)
        with connection.begin():
            merged = commit_batch(connection, batch, self._stamp)
            if batch.advances:
                self._move(connection, batch)
            return merged

    def _move(self, connection: Connection, batch: Batch) -> None:
        kept = _rows_by_log(batch)
        moves = [
            {
                "of_log": advance.log,
                "of_next": advance.next_offset,
                "of_read": advance.consumed,
                "of_selected": kept.get(advance.log, 0),
            }
            for advance in batch.advances
        ]
        position = replay_position
        moving = (
            update(position)
            .values(
                next_offset=bindparam("of_next"),
                read=position.c.read + bindparam("of_read"),
                selected=position.c.selected + bindparam("of_selected"),
            )
            .where(position.c.replay == self._replay, position.c.log == bindparam("of_log"))
        )
        connection.execute(moving, moves, execution_options=in_live(self._live_schema))


@dataclass(slots=True)
class Pipeline:
    """What a reading needs.

    Fields:
        live: engine on the live schema, where what is asked of the replay stands.
        store: of the shadow.
        preparer: with the policy in force.
        read: the log.
        sieve: what counts.
        cap: how fast it may go.
        batch_rows: most records of a batch.
        watch: told after each batch; must be quick.
        nap: waits so many seconds for what ends the reading early; returns whether it came.
    """

    live: Engine
    replay: int
    store: ShadowStore
    preparer: Preparer
    read: Reader
    sieve: Sieve
    cap: RateCap
    batch_rows: int
    watch: Callable[[Progress], None]
    nap: Callable[[float], bool] | None = None
    _swept_at: float = field(default=0.0)
    _ended: threading.Event = field(default_factory=threading.Event)
    _preparing: threading.Lock = field(default_factory=threading.Lock)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def run(self, ranges: Sequence[LogRange]) -> Progress:
        """Read ranges into the shadow, what others wait for first; returns when all is merged.

        Raises:
            CancelledError: somebody asked for it.
            UnreachableError, LostRangeError: see ``hub.operate.replay.event_log``.
        """
        all_aspect_tables()  # made before there are threads that would make them twice
        progress = Progress(sum(one.end - one.first for one in ranges))
        self.watch(progress)
        self._heed(progress)
        awaited = {event_topic(subject) for subject in awaited_subjects()}
        for first in (True, False):
            stage = [one for one in ranges if (one.topic in awaited) is first and one.first < one.end]
            if stage:
                asyncio.run(self._through(stage, progress))
        self._sweep(progress, thorough=True)
        return progress

    async def _through(self, ranges: Sequence[LogRange], progress: Progress) -> None:
        self._ended.clear()
        lanes = [_Lane(number) for number in range(LANES)]
        preparing = ThreadPoolExecutor(1, "replay-decode")
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in lanes:
                    tasks.create_task(self._commit_loop(lane, progress))
                tasks.create_task(self._read_loop(ranges, lanes, preparing))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._ended.set()
            preparing.shutdown(wait=True, cancel_futures=True)
            for lane in lanes:
                lane.thread.shutdown(wait=True, cancel_futures=True)

    async def _read_loop(
        self, ranges: Sequence[LogRange], lanes: Sequence["_Lane"], preparing: ThreadPoolExecutor
    ) -> None:
        loop = asyncio.get_running_loop()
        async for polled in self.read(ranges, self.cap.most(self.batch_rows)):
            for lane in lanes:
                of_lane = [part for part in polled if part.partition % len(lanes) == lane.number]
                if of_lane:
                    batch = await loop.run_in_executor(preparing, self._prepare, of_lane)
                    await lane.queue.put(batch)
                    await asyncio.sleep(self.cap.wait_s(batch.consumed))
        for lane in lanes:
            await lane.queue.put(None)

    def _prepare(self, polled: list[Polled]) -> Batch:
        with self._preparing:
            batch = self.preparer.prepare(polled)
        return self.sieve.keep(batch)

    async def _commit_loop(self, lane: "_Lane", progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        while (batch := await lane.queue.get()) is not None:
            await loop.run_in_executor(lane.thread, self._commit, lane, batch, progress)

    def _commit(self, lane: "_Lane", batch: Batch, progress: Progress) -> None:
        self._heed(progress)
        self.store.commit_patiently(batch, self._sleep)
        with self._counting:
            progress.read += batch.consumed
            progress.selected += sum(_rows_by_log(batch).values())
        if lane.number == 0 and time.monotonic() >= self._swept_at + SWEEP_EVERY_S:
            self._sweep(progress, thorough=False)
            self._swept_at = time.monotonic()
        self.watch(progress)

    def _sweep(self, progress: Progress, thorough: bool) -> None:
        """Let parked records go that may."""
        while found := self.store.releasable(self.batch_rows, thorough):
            with self._preparing:
                batch = self.preparer.prepare_released(found)
            self.store.commit_patiently(batch, self._sleep)
            progress.released += len(found)
            self.watch(progress)

    def _heed(self, progress: Progress) -> None:
        """Wait while the replay is to pause; stop when it is to stop."""
        while True:
            with self.live.connect() as connection:
                asked = asked_of(connection, self.replay)
            if asked is Asked.CANCEL:
                raise CancelledError(f"replay {self.replay} was cancelled")
            if progress.is_paused != (asked is Asked.PAUSE):
                progress.is_paused = asked is Asked.PAUSE
                self.watch(progress)
            if asked is None:
                return
            self._sleep(LOOK_EVERY_S)

    def _sleep(self, seconds: float) -> None:
        if (self.nap or self._ended.wait)(seconds):
            raise CancelledError(f"replay {self.replay} was interrupted")


def _rows_by_log(batch: Batch) -> dict[int, int]:
    """Count a batch's records by log partition."""
    frames = [*(accepted.frame.select("log") for accepted in batch.accepted), batch.refused.select("log")]
    return dict(pl.concat(frames).group_by("log").len().iter_rows())


class _Lane:
    """A thread that commits, and the batch that waits for it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=1)
        self.thread = ThreadPoolExecutor(1, f"replay-commit-{number}")


def awaited_subjects() -> frozenset[str]:
    """Return the subjects that events of other entities wait for: read first, they leave little to be parked."""
    named = {
        reference.entity
        for entity in ENTITIES
        for aspect in entity.aspects
        for reference in aspect.references
        if reference.entity != entity.name
    }
    return frozenset(aspect.subject for entity in ENTITIES if entity.name in named for aspect in entity.aspects)


def ranges_to(connection: Connection, replay: int, ends: Mapping[int, int]) -> list[LogRange]:
    """Return what a replay has still to read of each log partition, up to some ends by its number."""
    position = replay_position
    rows = connection.execute(
        select(position.c.log, log_partition.c.topic, log_partition.c.partition, position.c.next_offset)
        .join(log_partition, log_partition.c.id == position.c.log)
        .where(position.c.replay == replay)
        .order_by(log_partition.c.topic, log_partition.c.partition)
    )
    return [LogRange(*row, ends.get(row.log, row.next_offset)) for row in rows]
