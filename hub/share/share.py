"""Follow the audit log and publish: golden records to compacted topics, dead letters to the dead-letter topics.

One instance publishes at a time: an advisory lock in PostgreSQL chooses it. Kafka's transactional id stops an instance
that lost the lock without noticing, so an old record can never follow a newer one. Positions move after the broker
confirmed; a repeated step publishes the same bytes again. A record that cannot be published is set aside
(hub.share.set_aside). If the broker or the database is unreachable, share waits.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine

from hub.log.topic_ids import TopicIds
from hub.model.entities import ENTITIES
from hub.model.errors import ConcurrentUpdateError, RetryableError
from hub.retry import ENVIRONMENT
from hub.share.compose import Composer
from hub.share.composing import Composes
from hub.share.flags import FlagComposer
from hub.share.heartbeat import Heartbeat, other_share
from hub.share.publisher import Publisher
from hub.share.republish import open_requests
from hub.share.set_aside import count_asides
from hub.share.step import KEYS_AT_ONCE, Step, clock_of, next_step, step_done
from hub.share.topics import Added, compare_topics, partitions_added, partitions_kept
from hub.topology import FLAG_RECORDS, shared_topics
from hub.waiting import Waiting
from hub.warehouse.database import translated_errors
from hub.warehouse.locks import Lock, try_hold_for_session

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

TRANSACTIONAL_ID = "hub.share"
FIRST_IDLE_S, MOST_IDLE_S = 0.005, 0.05
"""Pause before looking again after nothing was found. It doubles each time up to the maximum."""
_REST_S = 0.05
"""Pause between two steps: changes that come close together go into one step, and a small step costs the servers as
much as a large one.
"""
_TURN_EVERY_S = 0.5
_LOOK_EVERY_S = 5.0
"""How often share reads its topics' ids and looks for requests."""


class Share:
    """Runs until it is cancelled or, with ``once``, until nothing is left to publish."""

    def __init__(self, engine: Engine, bootstrap: str, secret: str) -> None:
        self._engine = engine
        self._bootstrap = bootstrap
        self._composers: dict[str, Composes] = {FLAG_RECORDS: FlagComposer(secret)}
        self._composers |= {entity.name: Composer(entity, secret) for entity in ENTITIES if entity.record_topic}
        self._missing: frozenset[str] = frozenset()
        self._any_request = False
        self._added: tuple[Added, ...] = ()
        self._steps = 0
        self.waiting = Waiting()
        self._heartbeat = Heartbeat(engine, self.waiting)
        self.published = 0

    async def run(self, once: bool = False) -> None:
        """Publish what is there and what comes; with ``once``, return when nothing is left.

        Waits while a server is unreachable, and while another instance publishes.
        """
        beating = asyncio.create_task(self._heartbeat.run())
        try:
            while not await self._turn(once):
                pass
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            self._heartbeat.beat(ended=True)

    async def _turn(self, once: bool) -> bool:
        """Publish until there is a reason to start again (False) or, with ``once``, nothing is left (True).

        The pauses grow if one session after another fails; a session that published something resets them.
        """
        try:
            async for attempt in ENVIRONMENT.retrying_async(before_sleep=self.waiting.note_retry):
                with attempt:
                    before = self._steps
                    try:
                        await self._session(once)
                    except RetryableError as error:
                        if self._steps == before:
                            raise
                        self.waiting.waits(str(error))
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
            async with Publisher(self._bootstrap, TRANSACTIONAL_ID) as publisher:
                with TopicIds(self._bootstrap) as ids:
                    await self._follow(connection, publisher, ids, once)
        finally:
            connection.invalidate()
            connection.close()

    async def _follow(self, connection: Connection, publisher: Publisher, ids: TopicIds, once: bool) -> None:
        idle_s, looked_at = FIRST_IDLE_S, -_LOOK_EVERY_S
        try_again: datetime | None
        try_again, any_aside = await self._in_thread(self._begun, connection)
        while True:
            if time.monotonic() - looked_at >= _LOOK_EVERY_S:
                publisher.partitions = await self._in_thread(self._look, connection, ids)
                looked_at = time.monotonic()
            step = await self._in_thread(self._next, connection, try_again)
            if not step.tried_again:
                try_again = None
            if step.is_empty:
                self._turned()
                if once:
                    await self._in_thread(self._look, connection, ids)
                    return
                await asyncio.sleep(idle_s)
                idle_s = min(2 * idle_s, MOST_IDLE_S)
                continue
            idle_s = FIRST_IDLE_S
            await self._in_thread(self._check_topics, ids, step)
            step.refused += await publisher.publish(step.outgoing)
            any_aside = await self._in_thread(self._done, connection, step, any_aside)
            self._turned()
            if step.page is not None and step.page.is_last:
                looked_at = -_LOOK_EVERY_S
            if len(step.outgoing) < KEYS_AT_ONCE:
                await asyncio.sleep(_REST_S)

    def _begun(self, connection: Connection) -> tuple[datetime, bool]:
        with translated_errors("beginning to share"), connection.begin():
            return clock_of(connection), bool(count_asides(connection))

    def _next(self, connection: Connection, try_again_before: datetime | None) -> Step:
        with translated_errors("following the audit log"), connection.begin():
            return next_step(connection, self._composers, try_again_before, self._any_request)

    def _done(self, connection: Connection, step: Step, any_aside: bool) -> bool:
        with translated_errors("moving share's positions"), connection.begin():
            any_aside = step_done(connection, step, any_aside)
        unsent = {(item.topic, item.item) for item, _ in step.refused}
        self.published += sum((item.topic, item.item) not in unsent for item in step.outgoing)
        self._steps += 1
        return any_aside

    def _look(self, connection: Connection, ids: TopicIds) -> dict[str, int]:
        """Compare the topics with the known ones; look for requests; return the partitions to fill by topic."""
        wanted = shared_topics().values()
        found = ids.describe(list(wanted))
        self._missing = frozenset(wanted) - set(found)
        with translated_errors("looking at share's topics"), connection.begin():
            compare_topics(connection, found)
            self._tell_added(partitions_added(connection))
            self._any_request = bool(open_requests(connection))
            return partitions_kept(connection, found)

    def _tell_added(self, added: Sequence[Added]) -> None:
        """Log once for each topic that partitions were added to it."""
        for one in added:
            if one not in self._added:
                _log.warning("%s", one)
        self._added = tuple(added)

    def _check_topics(self, ids: TopicIds, step: Step) -> None:
        """Refuse to send to a topic that does not exist: the producer would wait for it silently."""
        missing = {item.topic for item in step.outgoing} & self._missing
        if missing:
            missing -= set(ids.read(list(missing)))
        if missing:
            names = ", ".join(sorted(missing))
            raise RetryableError(f"not on Kafka: {names}; `hub topics ensure --execute` makes what is missing")

    async def _take_turn(self, connection: Connection) -> None:
        """Wait for the lock, cancellably: ask repeatedly. The lock lives as long as the connection."""
        while not await self._in_thread(self._is_lock_taken, connection):
            self._heartbeat.is_second = True
            self.waiting.waits(await self._in_thread(self._whose_turn, connection))
            await asyncio.sleep(_TURN_EVERY_S)
        if self._heartbeat.is_second:
            self._heartbeat.is_second = False
            self.waiting.goes_on()

    def _whose_turn(self, connection: Connection) -> str:
        with translated_errors("waiting for the turn to share"), connection.begin():
            other = other_share(connection, self._heartbeat.name)
        return f"another instance shares ({other or 'not heard of yet'}); this one takes over when it ends"

    def _turned(self) -> None:
        """Note that share did something, or found nothing to do."""
        self.waiting.goes_on()
        self._heartbeat.turned()

    def _is_lock_taken(self, connection: Connection) -> bool:
        with translated_errors("waiting for the turn to share"):
            return try_hold_for_session(connection, Lock.SHARE)

    async def _in_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.to_thread(call, *arguments)
