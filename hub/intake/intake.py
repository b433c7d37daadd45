"""The way in: poll the assigned partitions, prepare batches, commit them one after another.

Two loops share a queue of one batch: while the database works on a batch, the next one is polled, decoded and checked. The truth
about offsets is in PostgreSQL: on assignment the consumer seeks to the stored offsets, and Kafka's group offsets are written
afterwards, for lag tools only. Anything that makes the polled position doubtful (a rebalance, a concurrent update) starts a new
generation: batches of older generations are dropped and every partition is placed again from the stored offsets.

An environment that is away pauses the worker for as long as it takes: partitions are paused but polled, so that the group keeps
this member (style: errors).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, OffsetOutOfRangeError

from hub.intake.prepare import Polled, Preparer
from hub.model.errors import ConcurrentUpdateError, LostRangeError, UnreachableError
from hub.retry import ENVIRONMENT
from hub.warehouse.batch import Batch
from hub.warehouse.offsets import Position

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

FETCH_BYTES_PER_PARTITION = 4 * 1_048_576
FETCH_BYTES = 32 * 1_048_576
GROUP_COMMIT_EVERY_S = 1.0
HEARTBEATS_PER_SESSION = 4


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """What the intake polls and how.

    Fields:
        bootstrap: Kafka brokers.
        group: consumer group of the workers.
        topics: event topics.
        batch_rows: most records of a batch; fewer when fewer are there.
        poll_ms: longest wait for a first record.
        schema_wait_s: how long an unknown schema id is retried before it is poison.
        session_timeout_s: how long the group waits for a worker that was killed.
    """

    bootstrap: str
    group: str
    topics: tuple[str, ...]
    batch_rows: int
    poll_ms: int
    schema_wait_s: float
    session_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Store:
    """The warehouse as the intake needs it; both block and are called in a thread of their own.

    Fields:
        place: stored positions of partitions, given where the log begins; raises UnreachableError.
        commit: makes a batch durable; raises RetryableError or ConcurrentUpdateError.
    """

    place: Callable[[Mapping[tuple[str, int], int]], Mapping[tuple[str, int], Position]]
    commit: Callable[[Batch], None]


@dataclass(slots=True)
class IntakeStatus:
    """What the health page shows: counts since start, and since when the environment is away (None: it is there)."""

    consumed: int = 0
    batches: int = 0
    partitions: int = 0
    waiting_for: str | None = None
    waiting_since: float | None = None
    unknown_schemas: dict[int, float] = field(default_factory=dict)


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs until cancelled, or until a bug or a lost range stops it."""

    def __init__(self, options: IntakeOptions, preparer: Preparer, store: Store) -> None:
        self.status = IntakeStatus()
        self.on_committed: Callable[[Batch], Awaitable[None]] | None = None
        self._options = options
        self._preparer = preparer
        self._store = store
        self._generation = 0
        self._unplaced = True
        self._next: dict[TopicPartition, Position] = {}
        self._done: dict[TopicPartition, int] = {}
        self._prepared: asyncio.Queue[tuple[int, Batch]] = asyncio.Queue(maxsize=1)
        self._decode_thread = ThreadPoolExecutor(1, "decode")
        self._commit_thread = ThreadPoolExecutor(1, "commit")
        self._consumer: AIOKafkaConsumer | None = None

    async def run(self) -> None:
        """Consume for ever.

        Raises:
            LostRangeError: the log and the stored offsets do not fit together.
        """
        self._consumer = await self._patiently(self._connected)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._poll_loop(self._consumer))
                tasks.create_task(self._commit_loop())
                tasks.create_task(self._group_offsets_loop(self._consumer))
        finally:
            await self._consumer.stop()
            self._decode_thread.shutdown(wait=False, cancel_futures=True)
            self._commit_thread.shutdown(wait=True, cancel_futures=True)

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

    def _hold_still(self, consumer: AIOKafkaConsumer) -> None:
        for partition in consumer.assignment():
            consumer.pause(partition)
            consumer.seek(partition, 0)

    async def _connected(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._options.bootstrap,
            group_id=self._options.group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES_PER_PARTITION,
            fetch_max_bytes=FETCH_BYTES,
            metadata_max_age_ms=30_000,
            session_timeout_ms=int(self._options.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._options.session_timeout_s * 1000 / HEARTBEATS_PER_SESSION),
        )
        self._consumer = consumer
        consumer.subscribe(list(self._options.topics), listener=self)
        try:
            await consumer.start()
        except KafkaConnectionError as error:
            await consumer.stop()
            raise UnreachableError("no Kafka broker answers; is it up, and is HUB_KAFKA_BOOTSTRAP right?") from error
        return consumer

    async def _poll_loop(self, consumer: AIOKafkaConsumer) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._unplaced and not await self._place(consumer):
                continue
            generation = self._generation
            try:
                records = await consumer.getmany(timeout_ms=self._options.poll_ms, max_records=self._options.batch_rows)
            except OffsetOutOfRangeError as error:
                raise LostRangeError(f"the log no longer holds a stored offset: {error}") from error
            if not records or generation != self._generation:
                continue
            polled = self._taken(records)
            batch = await loop.run_in_executor(self._decode_thread, self._preparer.prepare, polled)
            while self._worth_waiting(batch):
                await self._wait_paused(consumer, 0.5)
                batch = await loop.run_in_executor(self._decode_thread, self._preparer.prepare_again, polled)
            await self._hand_over(consumer, generation, batch)

    def _taken(self, records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> list[Polled]:
        polled = []
        for partition, of_partition in records.items():
            position = self._next[partition]
            offsets = [record.offset for record in of_partition]
            polled.append(
                Polled(
                    position.log,
                    partition.topic,
                    partition.partition,
                    position.next_offset,
                    offsets,
                    [record.key for record in of_partition],
                    [record.value for record in of_partition],
                )
            )
            self._next[partition] = Position(
                position.log, position.topic, position.partition, position.first_offset, offsets[-1] + 1
            )
        return polled

    def _worth_waiting(self, batch: Batch) -> bool:
        """A registry can lag: an unknown schema id is looked up again for a while before it is poison."""
        first_seen = self.status.unknown_schemas
        now = time.monotonic()
        waits = [now - first_seen.setdefault(schema_id, now) for schema_id in batch.unknown_schema_ids()]
        return any(waited < self._options.schema_wait_s for waited in waits)

    async def _hand_over(self, consumer: AIOKafkaConsumer, generation: int, batch: Batch) -> None:
        """Queue a batch for commit; while the database is slow or away, stay in the group by polling paused partitions."""
        while generation == self._generation:
            try:
                await asyncio.wait_for(self._prepared.put((generation, batch)), timeout=1.0)
            except TimeoutError:
                await self._wait_paused(consumer, 0.0)
            else:
                return

    async def _wait_paused(self, consumer: AIOKafkaConsumer, seconds: float) -> None:
        generation = self._generation
        paused = consumer.assignment() - consumer.paused()
        for partition in paused:
            consumer.pause(partition)
        await consumer.getmany(timeout_ms=0)
        await asyncio.sleep(seconds)
        if generation == self._generation:
            consumer.resume(*paused) if paused else None

    async def _place(self, consumer: AIOKafkaConsumer) -> bool:
        """Seek every assigned partition to its stored offset; False when the assignment changed meanwhile."""
        generation = self._generation
        assigned = sorted(consumer.assignment())
        self._hold_still(consumer)
        if not assigned:
            await consumer.getmany(timeout_ms=self._options.poll_ms)
            self._unplaced = bool(consumer.assignment())
            return False
        begins, ends = await self._patiently(lambda: self._bounds(consumer, assigned))
        stored = await self._patiently(
            lambda: self._in_commit_thread(
                self._store.place, {(tp.topic, tp.partition): offset for tp, offset in begins.items()}
            )
        )
        if generation != self._generation:
            return False
        self._next = {tp: stored[tp.topic, tp.partition] for tp in assigned}
        for partition, position in self._next.items():
            _check_range(position, begins[partition], ends[partition])
            consumer.seek(partition, position.next_offset)
            consumer.resume(partition)
        self.status.partitions = len(assigned)
        self._unplaced = False
        _log.info("placed %d partitions from the stored offsets", len(assigned))
        return True

    async def _bounds(
        self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        try:
            return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        except KafkaError as error:
            raise UnreachableError(
                f"the broker does not say where the log begins and ends ({type(error).__name__})"
            ) from error

    async def _commit_loop(self) -> None:
        while True:
            generation, batch = await self._prepared.get()
            if generation != self._generation:
                continue
            try:
                await self._patiently(
                    lambda: self._in_commit_thread(self._store.commit, batch),  # noqa: B023 - awaited before the next turn
                    lambda: generation == self._generation,  # noqa: B023
                )
            except ConcurrentUpdateError as error:
                _log.warning("another worker was here, placing again: %s", error)
                self._new_generation()
                continue
            self.status.consumed += batch.consumed
            self.status.batches += 1
            for advance in batch.advances:
                self._done[TopicPartition(advance.topic, advance.partition)] = advance.next_offset
            if self.on_committed is not None:
                await self.on_committed(batch)

    async def _group_offsets_loop(self, consumer: AIOKafkaConsumer) -> None:
        """Tell Kafka, for lag tools, what PostgreSQL has already made true."""
        while True:
            await asyncio.sleep(GROUP_COMMIT_EVERY_S)
            mine = consumer.assignment()
            done = {partition: offset for partition, offset in self._done.items() if partition in mine}
            self._done = {}
            if done:
                try:
                    await consumer.commit(done)
                except KafkaError as error:
                    _log.info("group offsets not written (%s); the stored offsets are the truth", type(error).__name__)

    async def _in_commit_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._commit_thread, call, *arguments)

    async def _patiently(
        self, call: Callable[[], Awaitable[_Result]], still_wanted: Callable[[], bool] = lambda: True
    ) -> _Result:
        """Call until it works, backing off; other errors than retryable ones pass through."""
        async for attempt in ENVIRONMENT.retrying_async(before_sleep=self._note_waiting):
            with attempt:
                if attempt.retry_state.attempt_number > 1 and not still_wanted():
                    raise ConcurrentUpdateError("the partitions were taken away while the environment was")
                result = await call()
        self.status.waiting_for = self.status.waiting_since = None
        return result

    def _note_waiting(self, state: object) -> None:
        outcome = getattr(state, "outcome", None)
        error = outcome.exception() if outcome else None
        if self.status.waiting_since is None:
            self.status.waiting_since = time.time()
            _log.warning("paused: %s", error)
        self.status.waiting_for = str(error)


def _check_range(position: Position, begin: int, end: int) -> None:
    place = f"{position.topic}/{position.partition}"
    if position.next_offset < begin:
        raise LostRangeError(
            f"{place}: the log begins at {begin}, after the stored offset {position.next_offset}: "
            f"{begin - position.next_offset} records would be skipped; restore them or move the offset by hand"
        )
    if position.next_offset > end:
        raise LostRangeError(
            f"{place}: the log ends at {end}, before the stored offset {position.next_offset}: "
            "this is not the log the warehouse was built from"
        )
