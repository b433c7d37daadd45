"""The worker's heartbeat, which also checks whether PostgreSQL answers and whether the other processes run.

Every two seconds the worker writes its state into the warehouse and checks everybody's heartbeats. Alerts about
processes that are gone or far behind open and close here; any worker does this. A write that takes too long shows that
PostgreSQL is unreachable, even while there is nothing to commit.

Connectors have no access to the warehouse. They send heartbeats to their own topic, and an agent brings them here.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import faust
from sqlalchemy import Engine

from hub.intake.chore_runs import ChoreNotes, ChoreRuns
from hub.intake.patience import Patience
from hub.intake.status import Errand, IntakeStatus
from hub.machine import own_identity
from hub.model.bug import Bug
from hub.model.errors import HubError, RetryableError
from hub.model.processes import Beat, Limits, Role, beat_from_json, hub_version
from hub.reconcile.parking.dated_ahead import settle_alert
from hub.topology import HEARTBEAT_TOPIC
from hub.warehouse.database import translated_errors
from hub.warehouse.processes import MOST_OF_A_SOURCE, admitted_beats, keep_beats, settle_process_alerts
from hub.worker.call_thread import CallThread
from hub.worker.own_topics import parsed

_log = logging.getLogger(__name__)

BEAT_EVERY_S = 2.0
ANSWER_S = 2.5
"""If a heartbeat is not written within this time, PostgreSQL does not answer; both times together are below 5 s."""
MOST_BUG_S = 10.0
"""Longest pause before the next heartbeat after a bug: shorter than the time after which the worker counts as gone."""
_MOST_HEARD = 1_000
LEFT_OUT = (
    "heartbeats of %d connectors were left out: they name no source of the policy, or one that has %d connectors "
    "already; `hub processes forget` makes room"
)


@dataclass(slots=True)
class Heartbeat:
    """Writes the heartbeats of the worker, and of the connectors that it hears.

    Fields:
        engine: the warehouse's.
        worker: the worker's name, ``host:pid``.
        status: the intake's.
        limits: when a process counts as gone or behind.
    """

    engine: Engine = field(repr=False)
    worker: str
    status: IntakeStatus
    limits: Limits
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    heard: dict[str, Beat] = field(default_factory=dict)
    _known: frozenset[str] = frozenset()
    """Connectors admitted before: heartbeats under invented names do not exclude them."""
    _left_out: int = 0

    async def run(self, notes: ChoreNotes) -> None:
        """Write heartbeats until cancelled, then record that the worker ended; ``notes``: where a bug is recorded."""
        patience, runs = Patience(self.status), ChoreRuns("heartbeat", notes, MOST_BUG_S)
        thread = CallThread("heartbeat")
        try:
            await self._beat_for_ever(thread, patience, runs)
        finally:
            thread.run(self._say_ended)
            if not await thread.close(ANSWER_S):
                _log.info("the end of this worker was not recorded: PostgreSQL does not answer")

    async def _beat_for_ever(self, thread: CallThread, patience: Patience, runs: ChoreRuns) -> None:
        under_way: asyncio.Future[None] | None = None
        while True:
            under_way = under_way or thread.run(self.beat)
            done, _ = await asyncio.wait([under_way], timeout=ANSWER_S)
            if not done:
                patience.waits(Errand.DATABASE, f"PostgreSQL does not answer within {ANSWER_S:g} s")
                continue
            finished, under_way = under_way, None
            again_s = await runs.attempt(partial(self._heed, finished, patience))
            await asyncio.sleep(again_s or BEAT_EVERY_S)

    async def _heed(self, finished: asyncio.Future[None], patience: Patience) -> None:
        """Note whether PostgreSQL answered, from the result of a heartbeat; a bug passes through."""
        try:
            await finished
        except RetryableError as error:
            patience.waits(Errand.DATABASE, str(error))
        else:
            patience.goes_on(Errand.DATABASE)

    def beat(self, ended: bool = False) -> None:
        """Write the worker's own heartbeat and those heard from connectors; settle the alerts. Blocks.

        Raises:
            RetryableError: PostgreSQL is unreachable.
        """
        own = self._own()
        with translated_errors("writing a heartbeat"), self.engine.begin() as connection:
            keep_beats(connection, [replace(own, ended_at=own.beat_at) if ended else own], heard_now=True)
        self._keep_heard([self.heard.pop(name) for name in list(self.heard)])
        with translated_errors("settling alerts of processes"), self.engine.begin() as connection:
            settle_process_alerts(connection, self.limits)
            settle_alert(connection)

    def hear(self, said: Any, heard_at: datetime) -> None:
        """Keep a connector's heartbeat; ignore anything else on its topic."""
        beat = beat_from_json(said, heard_at) if isinstance(said, dict) else None
        if beat is not None and (beat.name in self._known or len(self.heard) < _MOST_HEARD):
            self.heard[beat.name] = beat

    def _keep_heard(self, heard: list[Beat]) -> None:
        with translated_errors("writing the heartbeats of connectors"), self.engine.begin() as connection:
            admitted = admitted_beats(connection, heard)
            keep_beats(connection, admitted, heard_now=False)
        self._known = self._known.union(beat.name for beat in admitted)
        left_out = len(heard) - len(admitted)
        if left_out and not self._left_out:
            _log.warning(LEFT_OUT, left_out, MOST_OF_A_SOURCE)
        self._left_out = left_out if heard else self._left_out

    def _say_ended(self) -> None:
        try:
            self.beat(ended=True)
        except HubError as error:
            _log.info("the end of this worker was not recorded: %s", error)
        except Exception as error:  # noqa: BLE001 - the worker ends anyway, and in order
            _log.error("the end of this worker was not recorded: a bug of the hub: %s", Bug.of(error).title)

    def _own(self) -> Beat:
        waiting = self.status.longest_wait()
        stopped = f", {len(self.status.stopped)} stopped" if self.status.stopped else ""
        return Beat(
            role=Role.WORKER,
            name=self.worker,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=hub_version(),
            machine=own_identity(),
            began_at=self.began_at,
            beat_at=datetime.now(UTC),
            progress_at=datetime.fromtimestamp(self.status.progress_at, UTC),
            doing=f"{self.status.partitions} partitions{stopped}, {self.status.consumed:,} records",
            waits_for=waiting.why if waiting else None,
            waits_since=datetime.fromtimestamp(waiting.since, UTC) if waiting else None,
            behind=self.status.behind,
        )


def add_heartbeat_agent(app: faust.App, hear: Callable[[Any, datetime], None]) -> None:
    """Add the agent that receives the connectors' heartbeats."""
    topic = app.topic(
        HEARTBEAT_TOPIC, partitions=1, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

    @app.agent(topic)
    async def hear_connectors(events: Any) -> None:
        async for event in events.events():
            hear(parsed(event.value), _heard_at(event.message.timestamp))

    _ = hear_connectors


def _heard_at(timestamp: float | None) -> datetime:
    """Return when a record reached the broker; now, if its time is missing or in the future."""
    now = time.time()
    return datetime.fromtimestamp(timestamp if timestamp is not None and 0 < timestamp < now else now, UTC)
