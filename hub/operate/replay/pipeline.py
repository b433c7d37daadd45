"""The way of replayed events into the shadow: read, prepare, sieve, merge; as for live events, except for the sieve.

The worker's own loop (hub.intake.flow): one thread prepares, two commit, each its own partitions. A batch's position
moves in the transaction that stores the batch, so after a kill the replay continues where the shadow is (I1, I2).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl
from sqlalchemy import Connection, Engine, bindparam, select, update

from hub.intake.flow import Flow, Lane, Prepared
from hub.intake.prepare import Polled, Preparer
from hub.model.entities import ENTITIES
from hub.model.errors import HubError
from hub.operate.replay.ground import in_live
from hub.operate.replay.rate import RateCap
from hub.operate.replay.reading.event_log import LogRange, Reader
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
"""How often, in seconds, a paused replay checks whether it may go on."""


class CancelledError(HubError):
    """Somebody asked the replay to stop."""

    code = "REPLAY_CANCELLED"


@dataclass(slots=True)
class Progress:
    """The progress of a reading: events to read, read, selected, released from parking; whether it is paused."""

    total: int
    read: int = 0
    selected: int = 0
    released: int = 0
    is_paused: bool = False


class ShadowStore(WarehouseStore):
    """Commits to the shadow, and moves the replay's positions in the same transaction."""

    def __init__(
        self, shadow: Engine, stamp: Stamp, parking_deadline: timedelta, live_schema: str, replay: int
    ) -> None:
        """Commit under one stamp, for one replay; its positions are in the live schema."""
        super().__init__(shadow, stamp, parking_deadline)
        self._live_schema, self._replay = live_schema, replay

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
        live: engine on the live schema, where requests to the replay are stored.
        store: of the shadow.
        preparer: with the policy in force.
        read: the log.
        sieve: decides what counts.
        cap: how fast it may go.
        batch_rows: most records of a batch.
        watch: receives the progress after each batch; must be quick.
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
    _lanes: tuple[Lane, ...] = field(init=False)
    _flow: Flow[Lane] = field(init=False)
    _progress: Progress = field(init=False)
    _swept_at: float = field(default=0.0)

    def run(self, ranges: Sequence[LogRange]) -> Progress:
        """Read ranges into the shadow, first the subjects that others wait for; returns when all is merged.

        Raises:
            CancelledError: somebody asked for it.
            UnreachableError, LostRangeError: see ``hub.operate.replay.reading.event_log``.
        """
        all_aspect_tables()  # created before threads start, which would create them twice
        self._progress = Progress(sum(one.end - one.first for one in ranges))
        self.watch(self._progress)
        self._lanes = tuple(Lane(number) for number in range(LANES))
        self._flow = Flow(self._lanes, Lane.next, self._commit)
        try:
            asyncio.run(self._through(ranges))
        finally:
            self._flow.close()
        return self._progress

    async def _through(self, ranges: Sequence[LogRange]) -> None:
        await self._heed(self._lanes[0])
        awaited = {event_topic(subject) for subject in awaited_subjects()}
        for first in (True, False):
            stage = [one for one in ranges if (one.topic in awaited) is first and one.first < one.end]
            if stage:
                await self._flow.run(self._read(stage))
        await self._sweep(self._lanes[0], thorough=True)

    async def _read(self, ranges: Sequence[LogRange]) -> None:
        async for polled in self.read(ranges, self.cap.most(self.batch_rows)):
            for lane in self._lanes:
                of_lane = [part for part in polled if part.partition % len(self._lanes) == lane.number]
                if of_lane:
                    batch = await self._flow.in_decode_thread(self._prepare, of_lane)
                    await lane.queue.put(Prepared(0, batch))
                    await asyncio.sleep(self.cap.wait_s(batch.consumed))

    def _prepare(self, polled: list[Polled]) -> Batch:
        return self.sieve.keep(self.preparer.prepare(polled))

    async def _commit(self, lane: Lane, prepared: Prepared) -> None:
        await self._heed(lane)
        await self._store(lane, prepared.batch)
        self._progress.read += prepared.batch.consumed
        self._progress.selected += sum(_rows_by_log(prepared.batch).values())
        if lane.number == 0 and time.monotonic() >= self._swept_at + SWEEP_EVERY_S:
            await self._sweep(lane, thorough=False)
            self._swept_at = time.monotonic()
        self.watch(self._progress)

    async def _sweep(self, lane: Lane, thorough: bool) -> None:
        """Let parked records go that may."""
        while found := await lane.in_thread(self.store.releasable, self.batch_rows, thorough):
            await self._store(lane, await self._flow.in_decode_thread(self.preparer.prepare_released, found))
            self._progress.released += len(found)
            self.watch(self._progress)

    async def _store(self, lane: Lane, batch: Batch) -> None:
        """Make a batch durable; waits while the database is away."""
        async for attempt in ENVIRONMENT.retrying_async():
            with attempt:
                await lane.in_thread(self.store.commit, batch)

    async def _heed(self, lane: Lane) -> None:
        """Wait while the replay is to pause; stop when it is to stop."""
        while True:
            asked = await lane.in_thread(self._asked)
            if asked is Asked.CANCEL:
                raise CancelledError(f"replay {self.replay} was cancelled")
            if self._progress.is_paused != (asked is Asked.PAUSE):
                self._progress.is_paused = asked is Asked.PAUSE
                self.watch(self._progress)
            if asked is None:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def _asked(self) -> Asked | None:
        with self.live.connect() as connection:
            return asked_of(connection, self.replay)


def _rows_by_log(batch: Batch) -> dict[int, int]:
    """Count a batch's records by log partition."""
    frames = [*(accepted.frame.select("log") for accepted in batch.accepted), batch.refused.select("log")]
    return dict(pl.concat(frames).group_by("log").len().iter_rows())


def awaited_subjects() -> frozenset[str]:
    """Return the subjects that events of other entities wait for; if they are read first, few events are parked."""
    named = {
        reference.entity
        for entity in ENTITIES
        for aspect in entity.aspects
        for reference in aspect.references
        if reference.entity != entity.name
    }
    return frozenset(aspect.subject for entity in ENTITIES if entity.name in named for aspect in entity.aspects)


def ranges_to(connection: Connection, replay: int, ends: Mapping[int, int]) -> list[LogRange]:
    """Return what a replay still has to read of each log partition, up to ``ends`` by its number."""
    position = replay_position
    rows = connection.execute(
        select(
            position.c.log,
            log_partition.c.topic,
            log_partition.c.partition,
            position.c.next_offset,
            log_partition.c.topic_id,
        )
        .join(log_partition, log_partition.c.id == position.c.log)
        .where(position.c.replay == replay)
        .order_by(log_partition.c.topic, log_partition.c.partition)
    )
    return [LogRange(*row[:4], ends.get(row.log, row.next_offset), row.topic_id) for row in rows]
