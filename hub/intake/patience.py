"""Wait while a server is unreachable, for as long as necessary; log when the wait begins and when it ends."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import RetryCallState

from hub.intake.status import Errand, IntakeStatus
from hub.model.errors import ConcurrentUpdateError
from hub.retry import ENVIRONMENT

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Patience:
    """Repeats calls until they work, and shows in the intake's status what they wait for."""

    def __init__(self, status: IntakeStatus) -> None:
        self._status = status

    async def until_done(
        self,
        errand: Errand,
        call: Callable[[], Awaitable[_Result]],
        still_wanted: Callable[[], bool] = lambda: True,
        lane: int = 0,
    ) -> _Result:
        """Call until it works, with backoff. Only retryable errors are retried; others pass through.

        Raises:
            ConcurrentUpdateError: the result is not wanted any more.
        """

        def note(state: RetryCallState) -> None:
            self.waits(errand, str(state.outcome.exception() if state.outcome else ""), lane)

        async for attempt in ENVIRONMENT.retrying_async(before_sleep=note):
            with attempt:
                if attempt.retry_state.attempt_number > 1 and not still_wanted():
                    self.goes_on(errand, lane)
                    raise ConcurrentUpdateError("the partitions were reassigned while a server was unreachable")
                result = await call()
        self.goes_on(errand, lane)
        return result

    def waits(self, errand: Errand, why: str, lane: int = 0) -> None:
        """Note that an errand waits; the first one to wait for a server logs it."""
        is_told = self._status.since_when(errand) is not None
        if self._status.waits(errand, why, lane) and not is_told:
            _log.warning("paused: %s", why)

    def goes_on(self, errand: Errand, lane: int = 0) -> None:
        """Note that an errand is done; the last one to wait for a server logs it."""
        since = self._status.since_when(errand)
        if self._status.goes_on(errand, lane) and since is not None and self._status.since_when(errand) is None:
            _log.info("going on after %.0f s: %s is reachable again", time.time() - since, _named(errand))


def _named(errand: Errand) -> str:
    return " and ".join(sorted(errand.parties))
