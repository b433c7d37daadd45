"""Follow the audit log and publish: golden records to compacted topics, dead letters to the dead-letter topics.

One instance publishes at a time: an advisory lock in PostgreSQL chooses it. Kafka's transactional id stops an instance
that lost the lock without noticing, so an old record can never follow a newer one. Positions move after the broker
confirmed; a repeated step publishes the same bytes again. A record that cannot be published is set aside
(hub.share.set_aside). A topic that share cannot publish to is blocked, and all others go on (hub.share.blocked). If the
broker or the database is unreachable, share waits. After a bug share raises an alert and tries again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from hub.log.topic_ids import TopicIds
from hub.model.alerts import SHARE_BUG
from hub.model.bug import Bug
from hub.model.entities import ENTITIES
from hub.model.errors import ConcurrentUpdateError, HubError, RetryableError
from hub.model.processes import Limits
from hub.retry import ENVIRONMENT
from hub.share.blocked import NOT_THERE, read_blocked, settle_blocked_alerts
from hub.share.compose import Composer
from hub.share.composing import Composes
from hub.share.flags import FlagComposer
from hub.share.heartbeat import Heartbeat, other_share
from hub.share.republish import open_requests
from hub.share.send.publisher import Publisher
from hub.share.send.watched import TRIAL_S, send_watched
from hub.share.set_aside import count_asides
from hub.share.step import KEYS_AT_ONCE, Step, Wanted, clock_of, next_step, step_done
from hub.share.topics import Added, compare_topics, partitions_added, partitions_kept
from hub.topology import FLAG_RECORDS, shared_topics
from hub.waiting import Waiting
from hub.warehouse.alerts import clear_alert, raise_alert
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


class ShareBugError(HubError):
    """A bug ended ``hub share --once``; the message has the lines of code, and no value."""

    code = "SHARE_BUG"


class Share:
    """Runs until it is cancelled or, with ``once``, until nothing is left to publish."""

    def __init__(
        self, engine: Engine, bootstrap: str, secret: str, limits: Limits | None = None, stays: bool = True
    ) -> None:
        """Take the warehouse, Kafka, the key secret; ``limits`` and ``stays`` are the heartbeat's."""
        self._engine = engine
        self._bootstrap = bootstrap
        self._composers: dict[str, Composes] = {FLAG_RECORDS: FlagComposer(secret)}
        self._composers |= {entity.name: Composer(entity, secret) for entity in ENTITIES if entity.record_topic}
        self._any_aside = False
        self._added: tuple[Added, ...] = ()
        self._is_bug_open = True
        self._steps = 0
        self.waiting = Waiting()
        self._heartbeat = Heartbeat(engine, self.waiting, limits, stays)
        self.published = 0
        self.blocked: frozenset[str] = frozenset()
        """Topics that share cannot publish to now."""

    async def run(self, once: bool = False) -> None:
        """Publish what is there and what comes; with ``once``, return when nothing is left.

        Waits while a server is unreachable, and while another instance publishes.
        """
        _log.info("share %s: begins, Kafka %s", self._heartbeat.name, self._bootstrap)
        beating = asyncio.create_task(self._heartbeat.run())
        try:
            while not await self._turn(once):
                pass
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            self._heartbeat.beat(ended=True)
            _log.info("share %s: ended, %d records published", self._heartbeat.name, self.published)

    async def _turn(self, once: bool) -> bool:
        """Publish until there is a reason to start again (False) or, with ``once``, nothing is left (True).

        The pauses grow if one session after another fails; a session that published something resets them.
        """
        try:
            async for attempt in ENVIRONMENT.retrying_async(before_sleep=self.waiting.note_retry):
                with attempt:
                    before = self._steps
                    try:
                        await self._session_without_bugs(once)
                    except RetryableError as error:
                        if self._steps == before:
                            raise
                        self.waiting.waits(str(error))
                        return False
        except ConcurrentUpdateError as error:
            _log.warning("%s; starting over", error)
            return False
        return True

    async def _session_without_bugs(self, once: bool) -> None:
        """Run a session; turn a bug into an alert and an error that is retried.

        Raises:
            ShareBugError: a bug, with ``once``.
        """
        try:
            await self._session(once)
        except HubError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever ends a session must not end share
            bug = Bug.of(error)
            _log.error("a bug of the hub: %s", bug)
            await self._in_thread(self._tell_bug, bug)
            if once:
                raise ShareBugError(f"a bug of the hub: {bug}") from None
            raise RetryableError(f"a bug of the hub: {bug.title}") from None

    def _tell_bug(self, bug: Bug) -> None:
        self._is_bug_open = True
        try:
            with translated_errors("noting a bug"), self._engine.begin() as connection:
                raise_alert(connection, SHARE_BUG, "hub", bug.line)
        except (HubError, DBAPIError) as error:
            _log.warning("the alert %s is not noted: %s", SHARE_BUG.name, Bug.of(error).title)

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
        wanted = await self._in_thread(self._begun, connection)
        while True:
            if time.monotonic() - looked_at >= _LOOK_EVERY_S:
                wanted, publisher.partitions = await self._in_thread(self._look, connection, ids, wanted)
                looked_at = time.monotonic()
            step = await self._in_thread(self._next, connection, wanted)
            if not step.tried_again:
                wanted = replace(wanted, try_again_before=None)
            if step.is_empty:
                await self._turned(connection)
                if once:
                    await self._in_thread(self._look, connection, ids, wanted)
                    return
                await asyncio.sleep(idle_s)
                idle_s = min(2 * idle_s, MOST_IDLE_S)
                continue
            idle_s = FIRST_IDLE_S
            await self._send(publisher, ids, step)
            await self._in_thread(self._done, connection, step)
            await self._turned(connection)
            if step.page is not None and step.page.is_last:
                looked_at = -_LOOK_EVERY_S
            if sum(len(parcel) for parcel in step.outgoing) < KEYS_AT_ONCE:
                await asyncio.sleep(_REST_S)

    async def _send(self, publisher: Publisher, ids: TopicIds, step: Step) -> None:
        """Send a step's records, then each trial; remove from the step what a topic did not accept."""
        if step.outgoing:
            sent = await send_watched(publisher, ids, step.outgoing)
            step.refused += sent.refused
            for topic, why in sent.broken.items():
                step.block(topic, why, is_tried=why != NOT_THERE)
        for trial in list(step.trials):
            sent = await send_watched(publisher, ids, trial.outgoing, TRIAL_S)
            trial.refused += sent.refused
            for topic, why in sent.broken.items():
                step.block(topic, why, is_tried=why != NOT_THERE)

    def _begun(self, connection: Connection) -> Wanted:
        with translated_errors("beginning to share"), connection.begin():
            now = clock_of(connection)
            self._any_aside = bool(count_asides(connection))
            self._note_blocked(read_blocked(connection))
            return Wanted(now, try_again_before=now)

    def _next(self, connection: Connection, wanted: Wanted) -> Step:
        with translated_errors("following the audit log"), connection.begin():
            return next_step(connection, self._composers, wanted)

    def _done(self, connection: Connection, step: Step) -> None:
        with translated_errors("moving share's positions"), connection.begin():
            self._any_aside, blocked = step_done(connection, step, self._any_aside, bool(self.blocked))
        self.published += sum(len(parcel) for parcel in step.sent()) - step.unsent()
        self._steps += 1
        self._note_blocked(blocked)

    def _note_blocked(self, blocked: Collection[str]) -> None:
        for topic in self.blocked - set(blocked):
            _log.warning("%s is no longer blocked: all that it missed is published", topic)
        for topic in set(blocked) - self.blocked:
            _log.warning("%s is blocked; all other topics go on; `hub share status` says why", topic)
        self.blocked = frozenset(blocked)
        self._heartbeat.doing = f"publishes; blocked: {', '.join(sorted(blocked))}" if blocked else "publishes"

    def _look(self, connection: Connection, ids: TopicIds, wanted: Wanted) -> tuple[Wanted, dict[str, int]]:
        """Compare the topics with the known ones; look for requests; return the partitions to fill by topic, too."""
        topics = shared_topics().values()
        found = ids.describe(list(topics))
        with translated_errors("looking at share's topics"), connection.begin():
            compare_topics(connection, found)
            self._tell_added(partitions_added(connection))
            if self.blocked:
                settle_blocked_alerts(connection)
            any_request = bool(open_requests(connection))
            kept = partitions_kept(connection, found)
        return replace(wanted, missing=frozenset(topics) - set(found), any_request=any_request), kept

    def _tell_added(self, added: Sequence[Added]) -> None:
        """Log once for each topic that partitions were added to it."""
        for one in added:
            if one not in self._added:
                _log.warning("%s", one)
        self._added = tuple(added)

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

    async def _turned(self, connection: Connection) -> None:
        """Note that share did something, or found nothing to do."""
        self.waiting.goes_on()
        self._heartbeat.turned()
        if self._is_bug_open:
            await self._in_thread(self._bug_is_over, connection)

    def _bug_is_over(self, connection: Connection) -> None:
        with translated_errors("noting that a bug is over"), connection.begin():
            clear_alert(connection, SHARE_BUG)
        self._is_bug_open = False

    def _is_lock_taken(self, connection: Connection) -> bool:
        with translated_errors("waiting for the turn to share"):
            return try_hold_for_session(connection, Lock.SHARE)

    async def _in_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.to_thread(call, *arguments)
