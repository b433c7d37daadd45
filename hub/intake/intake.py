"""The way in: poll the assigned partitions, prepare batches, commit them lane by lane.

While the database works on the batches of some lanes, the next ones are polled, decoded and checked (hub.intake.lanes).
The truth about offsets is in PostgreSQL: on assignment the consumer seeks to the stored offsets, and Kafka's group
offsets are written afterwards, for lag tools only. Anything that makes the polled position doubtful (a rebalance, a
concurrent update) starts a new generation: batches of older generations are dropped and every partition is placed again
from the stored offsets.

A partition that is stopped stays paused until somebody resumes it, and the others flow: by a storm of poison records
(hub.intake.storms), by bytes that are no records, or because its log is not the one of its stored offset
(hub.intake.placing).

An environment that is away pauses the worker for as long as it takes: partitions are paused but polled, so that the
group keeps this member (docs/invariants.md).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from hub.intake.broker_talk import GroupOffsets, watch
from hub.intake.lanes import Lane, Lanes, Prepared, Records
from hub.intake.log import IntakeOptions, new_consumer, start, taken_on
from hub.intake.patience import Patience
from hub.intake.placing import Place, Placer
from hub.intake.polling import Polling
from hub.intake.prepare import Polled, Preparer
from hub.intake.release import Release, release_loop
from hub.intake.status import Errand, IntakeStatus
from hub.intake.storms import NoStops, Storms
from hub.log.stream import LogConsumer
from hub.model.errors import ConcurrentUpdateError, DeadLetterLimitError, HubError
from hub.reconcile.releasing import Releasable
from hub.warehouse.batch import Batch
from hub.warehouse.offsets import Position
from hub.warehouse.stops import Stop

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

RESUME_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Store:
    """The warehouse as the intake needs it; both block and are called in a thread of their own.

    Fields:
        place: stored positions of partitions, given the log as it is; raises UnreachableError.
        commit: makes a batch durable; raises RetryableError or ConcurrentUpdateError.
        releasable: parked records that may go (hub.intake.release).
    """

    place: Place
    commit: Callable[[Batch], object]
    releasable: Callable[[int, bool], Sequence[Releasable]]


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs until cancelled, or until a bug stops it."""

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
        self._decode_thread = ThreadPoolExecutor(1, "decode")
        self._lanes = Lanes(options.lanes, options.batch_rows, options.batch_target_s)
        self._polling = Polling(self._lanes, options.poll_ms)
        self._placer = Placer(options.bootstrap, store.place, self._storms, self._lanes, self._patience)
        self._consumer: LogConsumer | None = None
        self.release = Release(store.releasable, store.commit, options.batch_rows)

    def is_pressed(self) -> bool:
        """Tell whether the stream has very much to do: what is not urgent had better wait a while."""
        return self._lanes.is_pressed()

    async def run(self) -> None:
        """Consume for ever."""
        consumer = await self._patience.until_done(Errand.CONNECT, self._connected)
        loops = (
            self._poll_loop(consumer),
            *(self._commit_loop(lane) for lane in self._lanes.all),
            self._group_offsets.run(consumer),
            watch(consumer, self._patience),
            self._resume_loop(),
            self._placer.watch(self._flowing, self._new_generation),
            release_loop(
                self.release, self._preparer, self._in_decode_thread, self._lanes.express.in_thread, self._patience
            ),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                for loop in loops:
                    tasks.create_task(loop)
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
            self.status.ended_by = first if isinstance(first, HubError) else None
            raise first from None
        finally:
            await consumer.stop()
            self._decode_thread.shutdown(wait=False, cancel_futures=True)
            self._lanes.close()
            self._placer.close()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Drop what is under way; whatever was committed stays, the rest is read again by whoever comes next."""
        self._new_generation()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Hold the new partitions still until they are placed from the stored offsets."""
        self._new_generation()
        if self._consumer is not None:
            self._hold_still(self._consumer)

    def _new_generation(self) -> None:
        self._generation += 1
        self._unplaced = True

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
                # The database is slow or away, or all stands still: stay in the group by polling what is paused.
                await self._wait_paused(consumer, 0.0)
                continue
            for lane, records in await self._polled(consumer, pollable):
                if generation != self._generation:
                    break
                taken_now = taken_on(self._next, records, consumer.reached)
                parts = [one.polled for one in taken_now]
                batch = await self._prepare(consumer, parts)
                stops = self._placer.damaged(taken_now)
                if generation == self._generation and (storms := self._storms.look(parts, batch)):
                    stops += storms
                    stormed = {(stop.topic, stop.partition) for stop in storms}
                    flowing = [part for part in parts if (part.topic, part.partition) not in stormed]
                    batch = await self._prepare(consumer, flowing)
                if stops:
                    await self._stand_still(consumer, stops)
                if batch.advances:
                    self._lanes.put(lane, Prepared(generation, batch, tuple(records)))

    async def _polled(self, consumer: LogConsumer, pollable: set[TopicPartition]) -> list[tuple[Lane, Records]]:
        try:
            return await self._polling.poll(consumer, pollable, self._next)
        except OffsetOutOfRangeError:
            # Which partition it is, and in which way, is found where partitions are placed.
            self._new_generation()
            return []

    def _pollable(self, consumer: LogConsumer) -> set[TopicPartition]:
        """Return the partitions that do not stand still; the lanes see how far behind each is."""
        standing = self._storms.standing
        assigned = consumer.assignment()
        behind = 0
        for partition in assigned & self._next.keys():
            # What an open transaction holds back cannot be read: the log ends before it.
            if (end := consumer.last_stable_offset(partition)) is not None:
                self._lanes.see(partition, left := end - self._next[partition].next_offset)
                behind += left
        self.status.turned(behind)
        return {partition for partition in assigned if (partition.topic, partition.partition) not in standing}

    async def _prepare(self, consumer: LogConsumer, polled: list[Polled]) -> Batch:
        batch = await self._in_decode_thread(self._preparer.prepare, polled)
        while self._worth_waiting(batch):
            await self._wait_paused(consumer, 0.5)
            batch = await self._in_decode_thread(self._preparer.prepare_again, polled)
        return batch

    def _worth_waiting(self, batch: Batch) -> bool:
        """A registry can lag: an unknown schema id is looked up again for a while before it is poison."""
        unknown = batch.unknown_schema_ids()
        return self.status.is_schema_awaited(unknown, time.monotonic(), self._options.schema_wait_s)

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
        """Seek every assigned partition to its stored offset; False when the assignment changed meanwhile."""
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
        await self._stand_still(consumer, placed.wrong)
        for partition in self._next.keys() - self._storms.standing.keys():
            consumer.resume(partition)
        self.status.partitions = len(assigned)
        self._unplaced = generation != self._generation
        _log.info("placed %d partitions from the stored offsets", len(assigned))
        return True

    def _flowing(self) -> Mapping[TopicPartition, Position]:
        """Return the places of the partitions that are read."""
        if self._unplaced:
            return {}
        return {partition: self._next[partition] for partition in self._next.keys() - self._storms.standing.keys()}

    async def _stand_still(self, consumer: LogConsumer, stops: Sequence[Stop]) -> None:
        """Stop partitions, durably; what was polled of them is polled again when somebody resumes them."""
        self._storms.standing |= {(stop.topic, stop.partition): stop for stop in stops}
        for stop in stops:
            _log.warning("%s stops at %d: %s", stop.place, stop.stop_offset, stop.why)
            if (partition := TopicPartition(stop.topic, stop.partition)) in consumer.assignment():
                consumer.pause(partition)
        if stops:
            express = self._lanes.express
            await self._patience.until_done(Errand.STOP, lambda: express.in_thread(self._storms.store.write, stops))
        self.status.stopped = {stop.place: stop.why for stop in self._storms.standing.values()}

    async def _resume_loop(self) -> None:
        """Place anew when somebody has resumed a partition that stands still here."""
        while True:
            await asyncio.sleep(RESUME_LOOK_S)
            if self._storms.standing and not self._unplaced:
                express = self._lanes.express
                is_over = await self._patience.until_done(
                    Errand.STOP,
                    lambda: express.in_thread(self._storms.is_any_over),  # noqa: B023 - awaited at once
                )
                if is_over:
                    _log.info("a stopped partition was resumed")
                    self._new_generation()

    async def _commit_loop(self, lane: Lane) -> None:
        while True:
            async with self._lanes.next_of(lane) as prepared:
                if prepared.generation == self._generation:
                    await self._commit(lane, prepared)

    async def _commit(self, lane: Lane, prepared: Prepared) -> None:
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
            _log.warning("another worker was here, placing again: %s", error)
            self._new_generation()
            return
        except DeadLetterLimitError as error:
            if self._consumer is not None:
                await self._stand_still(self._consumer, self._storms.stops_of(error, batch))
            self._new_generation()
            return
        lane.size.took(batch.consumed, time.monotonic() - began)
        self.status.consumed += batch.consumed
        self.status.batches += 1
        self._group_offsets.note(batch.advances)
        if self.on_committed is not None:
            self.on_committed(batch)

    async def _in_decode_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._decode_thread, call, *arguments)
