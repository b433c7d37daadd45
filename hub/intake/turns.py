"""Turns of what a worker does beside its batches: a bug in one ends neither the worker nor its neighbours.

A chore that fails by a bug is told (in the log, and by an alert with the lines of code and no value) and tried again,
later each time; when it works again that is told too. Batches have guards of their own (hub.intake.guard).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hub.intake.bugs import is_panic
from hub.model.bug import Bug
from hub.model.errors import HubError

_log = logging.getLogger(__name__)

FIRST_S, MOST_S = 5.0, 300.0
"""How soon a chore that failed is tried again; each time twice as long."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A chore that fails: by which bug, how often, since when, and in how many seconds it is tried again."""

    bug: Bug
    tries: int
    since: datetime
    next_s: float

    def __str__(self) -> str:
        """Return it in one line: what, how often, since when, then the lines of code from the inside out."""
        often = f"failed {self.tries:,} times since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        where = " < ".join(self.bug.places)
        return f"{self.bug.kind}; {often}, next try in {self.next_s:.0f} s; at {where}"


class ChoreNotes(Protocol):
    """What is durable about chores; calls block and raise RetryableError."""

    def fails(self, chore: str, failure: Failure) -> None:
        """Note that a chore failed by a bug."""

    def works(self, chore: str) -> None:
        """Note that it works again."""


class NoChoreNotes:
    """For workers of tests and benchmarks: the log alone is told."""

    def fails(self, chore: str, failure: Failure) -> None:
        """Keep nothing."""

    def works(self, chore: str) -> None:
        """Keep nothing."""


class Turns:
    """The turns of one chore. Used from the event loop."""

    def __init__(self, chore: str, notes: ChoreNotes, most_s: float = MOST_S) -> None:
        """Take the chore's name, where its failures are noted, and the longest time until it is tried again."""
        self._chore = chore
        self._notes = notes
        self._most_s = most_s
        self._failure: Failure | None = None
        self._began = 0.0

    async def take(self, call: Callable[[], Awaitable[object]]) -> float | None:
        """Take one turn; return in how many seconds to try again when a bug failed it, None when it is done.

        The environment's errors must be handled by the call. Cancellation passes through.
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
        """Tell that a turn failed by a bug; return in how many seconds to try again."""
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
        """Tell, if it had failed before, that a turn is done."""
        if self._failure is not None:
            _log.warning("the chore '%s' goes on after %.0f s", self._chore, time.monotonic() - self._began)
            self._failure = None
            await self._note(lambda: self._notes.works(self._chore))

    async def _note(self, noting: Callable[[], None]) -> None:
        """Note it durably where that is possible: what cannot be noted is in the log, and ends nothing."""
        try:
            await asyncio.to_thread(noting)
        except HubError as error:
            _log.warning("how the chore '%s' is cannot be noted: %s", self._chore, error)
        except Exception as error:  # noqa: BLE001 - a bug in telling of a bug must not end the worker
            _log.error("how the chore '%s' is cannot be noted: %s", self._chore, Bug.of(error).title)


async def take_turns(chore: str, every_s: float, call: Callable[[], Awaitable[object]], notes: ChoreNotes) -> None:
    """Take a chore's turns for ever: after each a pause, a longer one after a bug."""
    turns = Turns(chore, notes)
    pause_s = every_s
    while True:
        await asyncio.sleep(pause_s)
        pause_s = await turns.take(call) or every_s
