"""What a worker does from time to time beside its stream: checks, seals, clean-ups.

A chore runs in a thread, one run at a time. While very much comes in, as after an outage, it lets the stream go first,
for as long as it may: what it does is not lost, only later. An environment that is away is waited for: the chore runs
again at its next turn. Any other error is a bug and stops the worker.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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


async def run_chores(chores: Sequence[Chore], is_pressed: Callable[[], bool] = lambda: False) -> None:
    """Run every chore at its intervals until cancelled; ``is_pressed`` tells whether the stream has very much to do."""
    with ThreadPoolExecutor(max(1, len(chores)), "chore") as threads:
        async with asyncio.TaskGroup() as tasks:
            for chore in chores:
                tasks.create_task(_run(chore, threads, is_pressed))


async def _run(chore: Chore, threads: ThreadPoolExecutor, is_pressed: Callable[[], bool]) -> None:
    failed_since: float | None = None
    while True:
        await asyncio.sleep(chore.every_s)
        latest = time.monotonic() + chore.yields_s
        while is_pressed() and time.monotonic() < latest:
            await asyncio.sleep(LOOK_EVERY_S)
        try:
            await asyncio.get_running_loop().run_in_executor(threads, chore.do)
        except RetryableError as error:
            if failed_since is None:
                failed_since = time.monotonic()
                _log.warning("%s waits, and is tried again every %.0f s: %s", chore.name, chore.every_s, error)
            continue
        if failed_since is not None:
            _log.info("%s goes on after %.0f s", chore.name, time.monotonic() - failed_since)
            failed_since = None
