"""Run a coroutine until it returns or a signal ends it, in order."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)

SIGNALLED = 128
"""The exit code of a process that a signal ended is this plus the signal's number."""
_AGAIN_S = 3.0
"""If the work goes on after it was cancelled, it is cancelled again after this time."""
_LEAVE_S = 10.0
"""If the work has not ended after this time, the process ends without it: a server does not answer."""


def run_until_signalled(work: Coroutine[Any, Any, None]) -> signal.Signals | None:
    """Run work; on SIGINT or SIGTERM cancel it and wait until it has ended; return the signal, None without one."""
    return asyncio.run(_until_signalled(work))


async def _until_signalled(work: Coroutine[Any, Any, None]) -> signal.Signals | None:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    received: list[signal.Signals] = []

    def cancel() -> None:
        if not task.done():
            task.cancel()
            loop.call_later(_AGAIN_S, cancel)

    def end(which: signal.Signals) -> None:
        if not received:
            received.append(which)
            leaving = threading.Timer(_LEAVE_S, _leave, (which,))
            leaving.daemon = True
            leaving.start()
            cancel()

    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, end, which)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    return received[0] if received else None


def _leave(which: signal.Signals) -> None:
    _log.warning("ended before all was done: a server does not answer within %d s", _LEAVE_S)
    os._exit(SIGNALLED + which)
