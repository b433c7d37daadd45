"""A thread for calls that may hang: the event loop does not wait for it, and it does not keep the process alive.

``ThreadPoolExecutor`` waits for its threads when it is closed and again when Python ends. A chore that waits for a
server that does not answer would so hold up a worker that was asked to end. A transaction that is cut off is rolled
back by its server, as after a killed process.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class CallThread:
    """One daemon thread that runs calls in their order; used from one event loop."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._under_way: Future[Any] | None = None
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Let the thread run a call; the result or the error of the call is the future's."""
        under_way: Future[T] = Future()
        self._under_way = under_way
        self._calls.put((under_way, call))
        return asyncio.wrap_future(under_way)

    async def close(self, limit_s: float) -> bool:
        """Let the thread end after its calls; wait for the last at most so long, and tell whether it ended."""
        self._calls.put(None)
        if self._under_way is None or self._under_way.done():
            return True
        last = asyncio.wrap_future(self._under_way)
        await asyncio.wait([last], timeout=limit_s)
        if last.done() and not last.cancelled():
            last.exception()  # the caller has it; asyncio would report it as one that nobody fetched
        return last.done()

    def _serve(self) -> None:
        while (asked := self._calls.get()) is not None:
            future, call = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is the caller's, who waits for the future
                future.set_exception(error)
