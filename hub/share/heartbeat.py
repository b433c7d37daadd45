"""Share's heartbeat: that it runs, what it waits for and since when, how far it is behind.

A separate task writes it every two seconds, so that share does not look silent during a long step. While PostgreSQL is
unreachable, only the log shows the state.
"""

import asyncio
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from hub.machine import own_identity
from hub.model.alerts import SHARE_BUG, SHARE_WAITS
from hub.model.errors import HubError
from hub.model.processes import Beat, Limits, Role, hub_version
from hub.share.delay import read_delays
from hub.waiting import Waiting
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.processes import forget_beat, keep_beats, settle_without_worker
from hub.warehouse.tables.processes import process

BEAT_EVERY_S = 2.0
ALERT_AFTER_S = 60.0
"""A wait that lasts longer than this raises an alert."""
_DELAY_EVERY = 5
"""Share counts its backlog once in this many heartbeats."""


@dataclass(slots=True)
class Heartbeat:
    """Writes share's state into the warehouse.

    Fields:
        engine: of the warehouse.
        waiting: what share waits for.
        doing: what it does, in a few words.
        progress_at: when its loop last completed a step.
        limits: when a process counts as gone or behind; None: the alerts of other processes are not settled.
        stays: it runs until it is stopped; if not, nobody misses it when it has ended, and it is forgotten.
        is_second: another instance publishes, and this one waits to take over.
    """

    engine: Engine = field(repr=False)
    waiting: Waiting
    limits: Limits | None = None
    stays: bool = True
    doing: str = "publishes"
    is_second: bool = False
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    progress_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    _behind: tuple[int, float] | None = None
    _beats: int = 0
    _has_ended: bool = False
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def turned(self) -> None:
        """Note that share's loop completed a step."""
        self.progress_at = datetime.now(UTC)

    async def run(self) -> None:
        """Write heartbeats until cancelled."""
        while True:
            await asyncio.to_thread(self.beat)
            await asyncio.sleep(BEAT_EVERY_S)

    def beat(self, ended: bool = False) -> None:
        """Write one heartbeat, and open or close the alert of a long wait; do nothing if PostgreSQL is unreachable.

        With ``ended`` it is the last: whatever thread writes one later, nothing is written.
        """
        with self._one_at_a_time:
            if not self._has_ended:
                self._has_ended = ended
                self._write(ended)

    def _write(self, ended: bool) -> None:
        doing = translated_errors("writing share's heartbeat")
        with suppress(HubError, DBAPIError), doing, self.engine.begin() as connection:
            if self._beats % _DELAY_EVERY == 0:
                self._behind = _behind(connection)
            self._beats += 1
            own = self._own()
            keep_beats(connection, [replace(own, ended_at=own.beat_at) if ended else own], heard_now=True)
            if ended and not self.stays:
                forget_beat(connection, Role.SHARE, self.name)
            if not self.is_second:
                self._settle(connection, ended)

    def _settle(self, connection: Connection, ended: bool) -> None:
        if self.limits is not None:
            settle_without_worker(connection, self.limits)
        if ended:
            clear_alert(connection, SHARE_BUG)
        if ended or not self.waiting.why:
            clear_alert(connection, SHARE_WAITS)
        elif self.waiting.seconds >= ALERT_AFTER_S and self.waiting.since is not None:
            since = f"since {self.waiting.since:%Y-%m-%d %H:%M:%S} UTC"
            raise_alert(connection, SHARE_WAITS, "hub", f"{self.name} waits {since}: {self.waiting.why}")

    def _own(self) -> Beat:
        now = datetime.now(UTC)
        behind, behind_s = self._behind or (None, None)
        return Beat(
            role=Role.SHARE,
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=hub_version(),
            machine=own_identity(),
            began_at=self.began_at,
            beat_at=now,
            progress_at=self.progress_at,
            doing=self.doing,
            waits_for=self.waiting.why or None,
            waits_since=self.waiting.since,
            behind=None if self.is_second else behind,
            behind_s=None if self.is_second else behind_s,
        )


def _behind(connection: Connection) -> tuple[int, float]:
    delays = read_delays(connection)
    return sum(one.rows for one in delays), max((one.delay_s for one in delays), default=0.0)


def other_share(connection: Connection, name: str) -> str | None:
    """Return the name of the share, other than this one, that was heard of last; None if there is none."""
    others = select(process.c.name).where(
        process.c.role == Role.SHARE.value, process.c.name != name, process.c.ended_at.is_(None)
    )
    return connection.execute(others.order_by(process.c.beat_at.desc()).limit(1)).scalar()
