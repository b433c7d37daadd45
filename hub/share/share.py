"""Follow the audit log and publish: golden records to compacted topics, dead letters to the topics beside their own.

One instance publishes at a time: an advisory lock in PostgreSQL chooses it, and Kafka's transactional id fences one
that lost the lock without noticing, so that an old record can never follow a newer one. Positions move after the
broker confirmed; a step that is repeated publishes the same bytes again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaConnectionError, KafkaError, ProducerFenced
from sqlalchemy import Connection, Engine, Row, text

from hub.model.entities import ENTITIES
from hub.model.errors import ConcurrentUpdateError, RetryableError, UnreachableError
from hub.retry import ENVIRONMENT
from hub.share.compose import Composer
from hub.share.flags import FlagComposer
from hub.share.outbox import Changes, Span, changes_in, move_positions, open_spans
from hub.topology import (
    FLAG_RECORDS,
    HEADER_ORIGIN,
    HEADER_REASON,
    MAX_SHARED_BYTES,
    dead_letter_topic,
    record_topics,
)
from hub.warehouse.database import translated_errors

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

TRANSACTIONAL_ID = "hub.share"
FIRST_IDLE_S, MOST_IDLE_S = 0.005, 0.05
"""How soon to look again when there was nothing; each time twice as long, since batches come close together or not."""
_REST_S = 0.05
"""Between two steps: what comes close together goes in one, and a step costs both servers the same, large or small."""
_TURN_EVERY_S = 0.5
_LOCK = 0x4855_4222
_KEYS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to produce; ``value`` None is a tombstone."""

    topic: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = ()


class Share:
    """Runs until cancelled, or until nothing is left when asked to run once."""

    def __init__(self, engine: Engine, bootstrap: str, secret: str, schema: str) -> None:
        self._engine = engine
        self._bootstrap = bootstrap
        self._composers: dict[str, Composer | FlagComposer] = {FLAG_RECORDS: FlagComposer(secret)}
        self._composers |= {entity.name: Composer(entity, secret) for entity in ENTITIES if entity.record_topic}
        self._topics = record_topics()
        self._lock = f"{_LOCK}:{schema}"
        self.published = 0
        self._steps = 0

    async def run(self, once: bool = False) -> None:
        """Publish what is there and what comes; with ``once``, return when nothing is left.

        An environment that is away is waited for; another instance's turn too.
        """
        while not await self._turn(once):
            pass

    async def _turn(self, once: bool) -> bool:
        """Share until there is a reason to begin anew (False) or, with ``once``, nothing is left (True).

        The backoff is for sessions that fail one after another; one that has shared something begins it anew.
        """
        try:
            async for attempt in ENVIRONMENT.retrying_async():
                with attempt:
                    before = self._steps
                    try:
                        await self._session(once)
                    except RetryableError as error:
                        if self._steps == before:
                            raise
                        _log.warning("paused: %s", error)
                        return False
        except ConcurrentUpdateError as error:
            _log.warning("%s; starting over", error)
            return False
        return True

    async def _session(self, once: bool) -> None:
        """Hold the lock and one producer for as long as both live."""
        with translated_errors("waiting for the turn to share"):
            connection = await asyncio.to_thread(self._engine.connect)
        try:
            await self._take_turn(connection)
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                transactional_id=TRANSACTIONAL_ID,
                acks="all",
                compression_type="lz4",
                linger_ms=5,
                max_request_size=MAX_SHARED_BYTES,
            )
            try:
                await self._started(producer)
                await self._follow(connection, producer, once)
            finally:
                await producer.stop()
        finally:
            connection.invalidate()
            connection.close()

    async def _started(self, producer: AIOKafkaProducer) -> None:
        try:
            await producer.start()
        except (KafkaConnectionError, KafkaError) as error:
            raise UnreachableError(f"no Kafka broker answers share ({type(error).__name__})") from error

    async def _follow(self, connection: Connection, producer: AIOKafkaProducer, once: bool) -> None:
        idle_s = FIRST_IDLE_S
        while True:
            spans, outgoing = await self._in_thread(self._next, connection)
            if not spans:
                if once:
                    return
                await asyncio.sleep(idle_s)
                idle_s = min(2 * idle_s, MOST_IDLE_S)
                continue
            idle_s = FIRST_IDLE_S
            await self._produce(producer, outgoing)
            await self._in_thread(self._moved, connection, spans)
            self.published += len(outgoing)
            self._steps += 1
            if len(outgoing) < _KEYS_AT_ONCE:
                await asyncio.sleep(_REST_S)

    async def _produce(self, producer: AIOKafkaProducer, outgoing: Sequence[Outgoing]) -> None:
        """Send all of it in one Kafka transaction."""
        if not outgoing:
            return
        try:
            async with producer.transaction():
                sent = [
                    await producer.send(item.topic, item.value, key=item.key, headers=list(item.headers))
                    for item in outgoing
                ]
                await asyncio.gather(*sent)
        except (ProducerFenced, IllegalOperation) as error:
            raise ConcurrentUpdateError("another instance shares now") from error
        except KafkaError as error:
            raise RetryableError(f"the broker did not take what is shared ({type(error).__name__})") from error

    def _next(self, connection: Connection) -> tuple[list[Span], list[Outgoing]]:
        """Return the next spans and what is to be published of them, composed from what is stored now."""
        with translated_errors("following the audit log"), connection.begin():
            spans = open_spans(connection)
            return spans, self._outgoing(connection, spans, changes_in(connection, spans))

    def _outgoing(self, connection: Connection, spans: Sequence[Span], changes: Changes) -> list[Outgoing]:
        places = {span.log: span for span in spans}
        outgoing = [_dead_letter(places, letter) for letter in changes.dead_letters]
        for name, keys in changes.keys.items():
            for first in range(0, len(keys), _KEYS_AT_ONCE):
                outgoing += self._records(connection, name, keys[first : first + _KEYS_AT_ONCE])
        return outgoing

    def _records(self, connection: Connection, entity: str, keys: Sequence[UUID]) -> list[Outgoing]:
        composed = self._composers[entity].compose(connection, keys)
        return [Outgoing(self._topics[entity], key.bytes, value) for key, value in composed.items()]

    def _moved(self, connection: Connection, spans: Sequence[Span]) -> None:
        with translated_errors("moving share's positions"), connection.begin():
            move_positions(connection, spans)

    async def _take_turn(self, connection: Connection) -> None:
        """Wait for the turn, cancellably: ask now and then. The lock lives as long as the connection."""
        while not await self._in_thread(self._is_lock_taken, connection):
            await asyncio.sleep(_TURN_EVERY_S)

    def _is_lock_taken(self, connection: Connection) -> bool:
        with translated_errors("waiting for the turn to share"), connection.begin():
            lock = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
            return bool(connection.execute(lock, {"name": self._lock}).scalar_one())

    async def _in_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.to_thread(call, *arguments)


def _dead_letter(places: dict[int, Span], letter: Row[tuple[object, ...]]) -> Outgoing:
    place = places[letter.log]
    origin = f"{place.topic}/{place.partition}/{letter.log_offset}"
    headers = ((HEADER_REASON, letter.reason.encode()), (HEADER_ORIGIN, origin.encode()))
    # A client refuses to send neither key nor value, which is what a keyless tombstone is.
    is_nothing = letter.record_key is None and letter.record_value is None
    value = b"" if is_nothing else letter.record_value
    return Outgoing(dead_letter_topic(place.topic), letter.record_key, value, headers)
