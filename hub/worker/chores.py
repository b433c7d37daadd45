"""Periodic work of a worker next to its stream: checks, seals, clean-ups.

A chore runs in a thread, one run at a time. While the worker is under load, for example after an outage, a chore waits,
up to its limit; it runs later, so nothing is lost. If a server is unreachable, the chore runs again at its next
interval. Any other error is a bug: it is reported, and the chore is tried again later (hub.intake.chore_runs). The
worker and its other chores continue.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hub.intake.chore_runs import ChoreNotes, ChoreRuns, NoChoreNotes
from hub.model.errors import RetryableError
from hub.worker.call_thread import CallThread

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
END_S = 5.0
"""How long the end of a worker waits for a chore that runs; its transaction is rolled back then."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do every ``every_s`` seconds; ``do`` blocks, and raises RetryableError to be called again later.

    ``yields_s``: how long the chore waits at most while the worker is under load.
    """

    name: str
    every_s: float
    do: Callable[[], object]
    yields_s: float = 0.0


async def run_chores(
    chores: Sequence[Chore], is_pressed: Callable[[], bool] = lambda: False, notes: ChoreNotes | None = None
) -> None:
    """Run every chore at its intervals until cancelled.

    Args:
        chores: what to do.
        is_pressed: tells whether the worker is under load.
        notes: where bugs of chores are recorded.
    """
    threads = [CallThread(f"chore {chore.name}") for chore in chores]
    try:
        async with asyncio.TaskGroup() as tasks:
            for chore, thread in zip(chores, threads, strict=True):
                tasks.create_task(_run(chore, thread, is_pressed, notes or NoChoreNotes()))
    finally:
        ended = await asyncio.gather(*(thread.close(END_S) for thread in threads))
        for chore in (chore for chore, has_ended in zip(chores, ended, strict=True) if not has_ended):
            _log.info("the chore '%s' is left: its call did not end within %.0f s", chore.name, END_S)


async def _run(chore: Chore, thread: CallThread, is_pressed: Callable[[], bool], notes: ChoreNotes) -> None:
    runs, waits = ChoreRuns(chore.name, notes), _Waits(chore)
    pause_s = chore.every_s
    while True:
        await asyncio.sleep(pause_s)
        latest = time.monotonic() + chore.yields_s
        while is_pressed() and time.monotonic() < latest:
            await asyncio.sleep(LOOK_EVERY_S)
        pause_s = await runs.attempt(lambda: waits.do(thread)) or chore.every_s


@dataclass(slots=True)
class _Waits:
    """Runs a chore; logs once that it waits for a server, and once that it continues."""

    chore: Chore
    since: float | None = None

    async def do(self, thread: CallThread) -> None:
        try:
            await thread.run(self.chore.do)
        except RetryableError as error:
            if self.since is None:
                self.since = time.monotonic()
                name, every_s = self.chore.name, self.chore.every_s
                _log.warning("%s waits, and is tried again every %.0f s: %s", name, every_s, error)
        else:
            if self.since is not None:
                _log.info("%s goes on after %.0f s", self.chore.name, time.monotonic() - self.since)
                self.since = None
