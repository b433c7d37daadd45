"""What a worker does from time to time beside its stream: checks, seals, clean-ups.

A chore runs in a thread, one run at a time. An environment that is away is waited for: the chore runs again at its next
turn. Any other error is a bug and stops the worker.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hub.model.errors import RetryableError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do every ``every_s`` seconds; ``do`` blocks, and raises RetryableError to be called again later."""

    name: str
    every_s: float
    do: Callable[[], object]


async def run_chores(chores: Sequence[Chore]) -> None:
    """Run every chore at its intervals until cancelled."""
    with ThreadPoolExecutor(max(1, len(chores)), "chore") as threads:
        async with asyncio.TaskGroup() as tasks:
            for chore in chores:
                tasks.create_task(_run(chore, threads))


async def _run(chore: Chore, threads: ThreadPoolExecutor) -> None:
    while True:
        await asyncio.sleep(chore.every_s)
        try:
            await asyncio.get_running_loop().run_in_executor(threads, chore.do)
        except RetryableError as error:
            _log.warning("%s: tried again in %.0f s (%s)", chore.name, chore.every_s, error)
