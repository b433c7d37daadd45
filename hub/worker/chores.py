"""What a worker does from time to time beside its stream: checks, seals, clean-ups.

A chore runs in a thread, one run at a time. While very much comes in, as after an outage, it lets the stream go first,
for as long as it may: what it does is not lost, only later. An environment that is away is waited for: the chore runs
again at its next turn. Any other error is a bug: it is told, and the chore is tried again later (hub.intake.turns); the
worker and its other chores go on.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hub.intake.turns import ChoreNotes, NoChoreNotes, Turns
from hub.model.errors import RetryableError

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do every ``every_s`` seconds; ``do`` blocks, and raises RetryableError to be called again later.

    ``yields_s``: how long at most it waits while the stream has very much to do.
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
        is_pressed: tells whether the stream has very much to do.
        notes: where a chore that fails by a bug is noted.
    """
    with ThreadPoolExecutor(max(1, len(chores)), "chore") as threads:
        async with asyncio.TaskGroup() as tasks:
            for chore in chores:
                tasks.create_task(_run(chore, threads, is_pressed, notes or NoChoreNotes()))


async def _run(chore: Chore, threads: ThreadPoolExecutor, is_pressed: Callable[[], bool], notes: ChoreNotes) -> None:
    turns, waits = Turns(chore.name, notes), _Waits(chore)
    pause_s = chore.every_s
    while True:
        await asyncio.sleep(pause_s)
        latest = time.monotonic() + chore.yields_s
        while is_pressed() and time.monotonic() < latest:
            await asyncio.sleep(LOOK_EVERY_S)
        pause_s = await turns.take(lambda: waits.do(threads)) or chore.every_s


@dataclass(slots=True)
class _Waits:
    """Runs a chore, and tells once that it waits for its environment, and once that it goes on."""

    chore: Chore
    since: float | None = None

    async def do(self, threads: ThreadPoolExecutor) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(threads, self.chore.do)
        except RetryableError as error:
            if self.since is None:
                self.since = time.monotonic()
                name, every_s = self.chore.name, self.chore.every_s
                _log.warning("%s waits, and is tried again every %.0f s: %s", name, every_s, error)
        else:
            if self.since is not None:
                _log.info("%s goes on after %.0f s", self.chore.name, time.monotonic() - self.since)
                self.since = None
