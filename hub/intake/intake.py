"""Poll the assigned partitions, prepare batches, and commit them in lanes.

While the database works on the batches of some lanes, the next batches are polled, decoded and checked
(hub.intake.lanes). The authoritative offsets are in PostgreSQL. On assignment the consumer seeks to the stored offsets;
Kafka's group offsets are written afterwards, for lag tools only. A rebalance or a concurrent update makes the polled
positions doubtful and starts a new generation: batches of older generations are dropped, and every partition is placed
again from the stored offsets.

A partition that is stopped stays paused until somebody resumes it; the other partitions continue. A partition is
stopped by a storm of poison records (hub.intake.faults.storms), by bytes that are not records or by a log that was
replaced (hub.intake.broker.placing), or by a bug (hub.intake.faults.guard).

While a server is unreachable the worker pauses, for as long as necessary: partitions are paused but still polled, so
that the group keeps this member (docs/invariants.md).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from hub.intake.broker.calls import GROUP_COMMIT_EVERY_S, WATCH_EVERY_S, GroupOffsets, look_for_broker
from hub.intake.broker.log import IntakeOptions, let_go, new_consumer, start, taken_on
from hub.intake.broker.placing import LOOK_EVERY_S, Placer
from hub.intake.broker.polling import Polling
from hub.intake.chore_runs import ChoreNotes, run_chore
from hub.intake.faults.bugs import is_bug, ranges_of, ranges_polled
from hub.intake.faults.guard import Guard
from hub.intake.faults.standing import RESUME_LOOK_S, Standing
from hub.intake.faults.storms import NoStops, Storms
from hub.intake.flow import Flow, Prepared
from hub.intake.lanes import Lanes, Records, SizedLane
from hub.intake.patience import Patience
from hub.intake.prepare import Polled, Preparer
from hub.intake.release import Release, release_loop
from hub.intake.status import Errand, IntakeStatus
from hub.intake.warehouse_port import Store
from hub.log.stream import LogConsumer
from hub.model.errors import ConcurrentUpdateError, DeadLetterLimitError, HubError, PoisonError
from hub.warehouse.batch import Batch
from hub.warehouse.offsets import Position

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs until it is cancelled or a bug stops it."""

    def __init__(self, options: IntakeOptions, preparer: Preparer, store: Store, storms: Storms | None = None) -> None:
        self.status = IntakeStatus()
        self._storms = storms or Storms(NoStops())
        self._patience = Patience(self.status)
        self.on_committed: Callable[[Batch], None] | None = None
        self._options = options
        self._preparer = preparer
        self._store = store
        self._generation = 0
        self._unplaced = True
        self._next: dict[TopicPartition, Position] = {}
        self._group_offsets = GroupOffsets()
        self._lanes = Lanes(options.lanes, options.batch_rows, options.batch_target_s)
        self._flow = Flow(self._lanes.all, self._lanes.next_of, self._commit)
        self._standing = Standing(self._storms, self._patience, self.status, self._lanes.express.in_thread)
        self._guard = Guard(store.notes, self._storms, self._patience, self._lanes.express.in_thread)
        self._polling = Polling(self._lanes, options.poll_ms)
        self._placer = Placer(options.bootstrap, store.place, self._storms, self._lanes, self._patience)
        self._consumer: LogConsumer | None = None
        self.release = Release(store.releasable, store.commit, options.batch_rows)

    @property
    def chore_notes(self) -> ChoreNotes:
        """The store for bugs in chores."""
        return self._store.chores

    def is_pressed(self) -> bool:
        """Tell whether the worker is under load, so that work that is not urgent should wait."""
        return self._lanes.is_pressed()

    async def run(self) -> None:
        """Consume until cancelled."""
        consumer = await self._patience.until_done(Errand.CONNECT, self._connected)
        try:
            await self._flow.run(self._poll_loop(consumer), self._chores(consumer))
        except HubError as error:
            self.status.ended_by = error
            raise
        finally:
            await let_go(consumer)
            self._flow.close()
            self._placer.close()

    def _chores(self, consumer: LogConsumer) -> Iterator[Coroutine[object, object, None]]:
        """Yield the loops that run next to the batches. A bug in one of them does not end the worker."""
        notes, new = self._store.chores, self._new_generation
        resumed = partial(self._standing.look_for_resumed, lambda: not self._unplaced, new)
        for what, every_s, turn in (
            ("group offsets", GROUP_COMMIT_EVERY_S, partial(self._group_offsets.tell, consumer)),
            ("look for the broker", WATCH_EVERY_S, partial(look_for_broker, consumer, self._patience)),
            ("look for resumed partitions", RESUME_LOOK_S, resumed),
            ("look for recreated topics", LOOK_EVERY_S, partial(self._placer.look_for_other_logs, self._flowing, new)),
        ):
            yield run_chore(what, every_s, turn, notes)
        threads = self._flow.in_decode_thread, self._lanes.express.in_thread
        yield release_loop(self.release, self._preparer, threads, self._patience, notes)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Drop what is in progress. Committed batches stay; the next owner reads the rest again."""
        self._new_generation()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Pause the new partitions until they are placed from the stored offsets."""
        self._new_generation()
        if self._consumer is not None:
            self._hold_still(self._consumer)

    def _new_generation(self) -> None:
        self._generation += 1
        self._unplaced = True

    def _place_anew(self, why: ConcurrentUpdateError) -> None:
        _log.warning("another worker had a partition; placing again: %s", why)
        self._new_generation()

    def _hold_still(self, consumer: LogConsumer) -> None:
        for partition in consumer.assignment():
            consumer.pause(partition)
            consumer.seek(partition, 0)

    async def _connected(self) -> LogConsumer:
        self._consumer = new_consumer(self._options, self)
        await start(self._consumer)
        return self._consumer

    async def _poll_loop(self, consumer: LogConsumer) -> None:
        while True:
            if self._unplaced and not await self._place(consumer):
                continue
            generation = self._generation
            pollable = self._pollable(consumer)
            if not await self._lanes.wait_for_room(pollable, 1.0):
                # The database is slow or unreachable, or every partition is stopped: poll the paused partitions, to
                # stay in the group.
                await self._wait_paused(consumer, 0.0)
                continue
            for lane, records in await self._polled(consumer, pollable):
                if generation != self._generation:
                    break
                taken_now = taken_on(self._next, records, consumer.reached)
                parts = await self._without_suspects(consumer, [one.polled for one in taken_now])
                batch = await self._prepared(consumer, parts)
                stops = self._placer.damaged(taken_now)
                if generation == self._generation and (storms := self._storms.look(parts, batch)):
                    stops += storms
                    stormed = {(stop.topic, stop.partition) for stop in storms}
                    flowing = [part for part in parts if (part.topic, part.partition) not in stormed]
                    batch = await self._prepared(consumer, flowing)
                await self._standing.stop(consumer, stops)
                if batch.advances:
                    self._lanes.put(lane, Prepared(generation, batch, tuple(records)))

    async def _polled(self, consumer: LogConsumer, pollable: set[TopicPartition]) -> list[tuple[SizedLane, Records]]:
        try:
            return await self._polling.poll(consumer, pollable, self._next)
        except OffsetOutOfRangeError:
            # Placing finds out which partition it is, and whether its log begins later or ends earlier.
            self._new_generation()
            return []

    def _pollable(self, consumer: LogConsumer) -> set[TopicPartition]:
        """Return the partitions that are not stopped, and tell the lanes how far behind each is."""
        standing = self._storms.standing
        assigned = consumer.assignment()
        behind = 0
        for partition in assigned & self._next.keys():
            # Records of an open transaction cannot be read: the readable log ends before them.
            if (end := consumer.last_stable_offset(partition)) is not None:
                self._lanes.see(partition, left := end - self._next[partition].next_offset)
                behind += left
        self.status.turned(behind)
        return {partition for partition in assigned if (partition.topic, partition.partition) not in standing}

    async def _prepared(self, consumer: LogConsumer, parts: list[Polled]) -> Batch:
        """Prepare a batch; a bug in it ends the worker."""
        try:
            return await self._prepare(consumer, parts)
        except BaseException as error:
            if is_bug(error):
                await self._guard.end(error, ranges_polled(parts))
            raise

    async def _without_suspects(self, consumer: LogConsumer, parts: list[Polled]) -> list[Polled]:
        """Try suspected records piece by piece, in the express lane; return the other parts."""
        generation, prepare = self._generation, partial(self._prepare, consumer)
        steps = self._guard.steps(self._store, prepare, lambda: generation == self._generation, self._count)
        try:
            return await self._guard.without_suspects(parts, steps, lambda stops: self._standing.stop(consumer, stops))
        except ConcurrentUpdateError as error:
            self._place_anew(error)
            return []

    async def _prepare(self, consumer: LogConsumer, polled: list[Polled]) -> Batch:
        """Prepare a batch; unknown schema ids are looked up again before they are poison: a registry can lag."""
        batch = await self._flow.in_decode_thread(self._preparer.prepare, polled)
        wait_s = self._options.schema_wait_s
        while self.status.is_schema_awaited(batch.unknown_schema_ids(), time.monotonic(), wait_s):
            await self._wait_paused(consumer, 0.5)
            batch = await self._flow.in_decode_thread(self._preparer.prepare_again, polled)
        return batch

    async def _wait_paused(self, consumer: LogConsumer, seconds: float) -> None:
        generation = self._generation
        paused = consumer.assignment() - consumer.paused()
        for partition in paused:
            consumer.pause(partition)
        await consumer.getmany(timeout_ms=0)
        await asyncio.sleep(seconds)
        if generation == self._generation:
            consumer.resume(*paused) if paused else None

    async def _place(self, consumer: LogConsumer) -> bool:
        """Seek every assigned partition to its stored offset; False if the assignment changed meanwhile."""
        generation = self._generation
        assigned = sorted(consumer.assignment())
        self._hold_still(consumer)
        if not assigned:
            await consumer.getmany(timeout_ms=self._options.poll_ms)
            self._unplaced = bool(consumer.assignment())
            return False
        try:
            placed = await self._placer.placed(consumer, assigned, lambda: generation == self._generation)
        except ConcurrentUpdateError:
            return False
        if generation != self._generation:
            return False
        self._next = dict(placed.positions)
        for partition, position in self._next.items():
            consumer.seek(partition, position.next_offset)
        await self._standing.stop(consumer, placed.wrong)
        await self._guard.look_again()
        for partition in self._next.keys() - self._storms.standing.keys():
            consumer.resume(partition)
        self.status.partitions = len(assigned)
        self._unplaced = generation != self._generation
        _log.info("placed %d partitions from the stored offsets", len(assigned))
        return True

    def _flowing(self) -> Mapping[TopicPartition, Position]:
        """Return the positions of the partitions that are being read."""
        if self._unplaced:
            return {}
        return {partition: self._next[partition] for partition in self._next.keys() - self._storms.standing.keys()}

    async def _commit(self, lane: SizedLane, prepared: Prepared) -> None:
        if prepared.generation != self._generation:
            return
        batch = prepared.batch
        began = time.monotonic()
        try:
            await self._patience.until_done(
                Errand.COMMIT,
                lambda: lane.in_thread(self._store.commit, batch),
                lambda: prepared.generation == self._generation,
                lane.number,
            )
        except ConcurrentUpdateError as error:
            self._place_anew(error)
            return
        except DeadLetterLimitError as error:
            if self._consumer is not None:
                await self._standing.stop(self._consumer, self._storms.stops_of(error, batch))
            self._new_generation()
            return
        except PoisonError as error:
            await self._guard.suspect(error, ranges_of(batch.advances))
            self._new_generation()
            return
        except BaseException as error:
            if is_bug(error):
                await self._guard.end(error, ranges_of(batch.advances))
            raise
        lane.size.took(batch.consumed, time.monotonic() - began)
        self._count(batch)
        await self._guard.look_again(batch.advances)

    def _count(self, batch: Batch) -> None:
        self.status.consumed += batch.consumed
        self.status.batches += 1
        self._group_offsets.note(batch.advances)
        if self.on_committed is not None:
            self.on_committed(batch)
