"""Wait for an environment that is away for as long as it takes; say so when it goes and when it is back."""

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
    """Calls that are repeated until they work, with what they wait for in the intake's status."""

    def __init__(self, status: IntakeStatus) -> None:
        self._status = status

    async def until_done(
        self,
        errand: Errand,
        call: Callable[[], Awaitable[_Result]],
        still_wanted: Callable[[], bool] = lambda: True,
        lane: int = 0,
    ) -> _Result:
        """Call until it works, backing off; other errors than retryable ones pass through.

        Raises:
            ConcurrentUpdateError: it is not wanted any more.
        """

        def note(state: RetryCallState) -> None:
            self.waits(errand, str(state.outcome.exception() if state.outcome else ""), lane)

        async for attempt in ENVIRONMENT.retrying_async(before_sleep=note):
            with attempt:
                if attempt.retry_state.attempt_number > 1 and not still_wanted():
                    self.goes_on(errand, lane)
                    raise ConcurrentUpdateError("the partitions were taken away while the environment was")
                result = await call()
        self.goes_on(errand, lane)
        return result

    def waits(self, errand: Errand, why: str, lane: int = 0) -> None:
        """Note that an errand waits; the first to wait for a server says so in the log."""
        is_told = self._status.since_when(errand) is not None
        if self._status.waits(errand, why, lane) and not is_told:
            _log.warning("paused: %s", why)

    def goes_on(self, errand: Errand, lane: int = 0) -> None:
        """Note that an errand was done; the last to have waited for a server says so in the log."""
        since = self._status.since_when(errand)
        if self._status.goes_on(errand, lane) and since is not None and self._status.since_when(errand) is None:
            _log.info("going on after %.0f s: %s is there again", time.time() - since, _named(errand))


def _named(errand: Errand) -> str:
    return " and ".join(sorted(errand.parties))
