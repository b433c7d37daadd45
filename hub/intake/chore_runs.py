"""Run a worker's chores: a bug in one ends neither the worker nor the other chores.

A chore that fails because of a bug is reported in the log, and by an alert that gives the lines of code and no values.
It is tried again after growing pauses, and its recovery is reported too. Batches have their own guard
(hub.intake.faults.guard).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hub.intake.faults.bugs import is_panic
from hub.model.bug import Bug
from hub.model.errors import HubError

_log = logging.getLogger(__name__)

FIRST_S, MOST_S = 5.0, 300.0
"""Pause before the first retry of a failed chore, which doubles with each failure, and the longest pause."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A chore that fails: the bug, how often and since when it failed, and the seconds until the next try."""

    bug: Bug
    tries: int
    since: datetime
    next_s: float

    def __str__(self) -> str:
        """Return one line: the bug, how often, since when, then the lines of code from the inside out."""
        often = f"failed {self.tries:,} times since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        where = " < ".join(self.bug.places)
        return f"{self.bug.kind}; {often}, next try in {self.next_s:.0f} s; at {where}"


class ChoreNotes(Protocol):
    """Stores the state of chores durably; calls block and raise RetryableError."""

    def fails(self, chore: str, failure: Failure) -> None:
        """Record that a chore failed because of a bug."""

    def works(self, chore: str) -> None:
        """Record that a chore works again."""


class NoChoreNotes:
    """For workers in tests and benchmarks: failures are only logged."""

    def fails(self, chore: str, failure: Failure) -> None:
        """Store nothing."""

    def works(self, chore: str) -> None:
        """Store nothing."""


class ChoreRuns:
    """Runs one chore repeatedly. Used from the event loop."""

    def __init__(self, chore: str, notes: ChoreNotes, most_s: float = MOST_S) -> None:
        """Take the chore's name, the store of its failures, and the longest pause before a retry."""
        self._chore = chore
        self._notes = notes
        self._most_s = most_s
        self._failure: Failure | None = None
        self._began = 0.0

    async def attempt(self, call: Callable[[], Awaitable[object]]) -> float | None:
        """Run the chore once; return the seconds until a retry if a bug failed it, None if it succeeded.

        The call must handle errors of unreachable servers. Cancellation passes through.
        """
        try:
            await call()
        except BaseException as error:
            if not (isinstance(error, Exception) or is_panic(error)):
                raise
            return await self.failed(error)
        await self.worked()
        return None

    async def failed(self, error: BaseException) -> float:
        """Report that a run failed because of a bug; return the seconds until the next try."""
        before = self._failure
        tries = 1 if before is None else before.tries + 1
        if before is None:
            self._began = time.monotonic()
        since = datetime.now(UTC) if before is None else before.since
        next_s = min(FIRST_S * 2.0 ** min(tries - 1, 30), self._most_s)
        failure = self._failure = Failure(Bug.of(error), tries, since, next_s)
        _log.error("a bug of the hub: the chore '%s' fails: %s", self._chore, failure)
        await self._note(lambda: self._notes.fails(self._chore, failure))
        return next_s

    async def worked(self) -> None:
        """Report that a run succeeded, if the one before had failed."""
        if self._failure is not None:
            _log.warning("the chore '%s' works again after %.0f s", self._chore, time.monotonic() - self._began)
            self._failure = None
            await self._note(lambda: self._notes.works(self._chore))

    async def _note(self, noting: Callable[[], None]) -> None:
        """Store it if possible. If that fails it is logged only, and nothing ends."""
        try:
            await asyncio.to_thread(noting)
        except HubError as error:
            _log.warning("the state of the chore '%s' cannot be stored: %s", self._chore, error)
        except Exception as error:  # noqa: BLE001 - a bug in telling of a bug must not end the worker
            _log.error("the state of the chore '%s' cannot be stored: %s", self._chore, Bug.of(error).title)


async def run_chore(chore: str, every_s: float, call: Callable[[], Awaitable[object]], notes: ChoreNotes) -> None:
    """Run a chore until cancelled: pause, run, repeat; pause longer after a bug."""
    runs = ChoreRuns(chore, notes)
    pause_s = every_s
    while True:
        await asyncio.sleep(pause_s)
        pause_s = await runs.attempt(call) or every_s
