"""The only retry policies (tenacity): frozen values that retry a fixed list of errors with backoff and jitter."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import tenacity

from hub.model.errors import RetryableError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to retry a ``RetryableError``.

    Fields:
        first_s, most_s: bounds of the exponential wait between tries; up to ``first_s`` of jitter is added.
        give_up_after_s: total time after which the last error is raised; None: retry forever.
    """

    first_s: float
    most_s: float
    give_up_after_s: float | None

    def retrying(
        self,
        sleep: Callable[[float], None] | None = None,
        before_sleep: Callable[[tenacity.RetryCallState], None] | None = None,
    ) -> tenacity.Retrying:
        """Return a retrying iterator for blocking code; ``sleep`` is injected by tests."""
        extra = {} if sleep is None else {"sleep": sleep}
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetryableError),
            wait=self._wait(),
            stop=self._stop(),
            before_sleep=before_sleep or log_retry,
            reraise=True,
            **extra,  # type: ignore[arg-type]
        )

    def retrying_async(
        self, before_sleep: Callable[[tenacity.RetryCallState], None] | None = None
    ) -> tenacity.AsyncRetrying:
        """Return a retrying iterator for asynchronous code."""
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(RetryableError),
            wait=self._wait(),
            stop=self._stop(),
            before_sleep=before_sleep or log_retry,
            reraise=True,
        )

    def _wait(self) -> tenacity.wait.wait_base:
        return tenacity.wait_exponential_jitter(multiplier=self.first_s, max=self.most_s, jitter=self.first_s)

    def _stop(self) -> tenacity.stop.stop_base:
        if self.give_up_after_s is None:
            return tenacity.stop_never
        return tenacity.stop_after_delay(self.give_up_after_s)


ENVIRONMENT = RetryPolicy(first_s=0.2, most_s=15.0, give_up_after_s=None)
"""For a worker or connector whose broker or database is unreachable: forever."""

SHORT_COMMAND = RetryPolicy(first_s=0.2, most_s=1.0, give_up_after_s=5.0)
"""For a short command: a few seconds, then exit code 3."""

BUSY_TABLES = RetryPolicy(first_s=0.05, most_s=0.5, give_up_after_s=10.0)
"""For writing tables that others are reading, while their writers are held back."""

FIRST_ANSWER_MS = 8_000
"""How long a short command's Kafka client waits for the first answer of a broker."""


def log_retry(state: tenacity.RetryCallState) -> None:
    """Log one retry: the error, the number of the try, the time until the next."""
    error = state.outcome.exception() if state.outcome else None
    wait_s = state.next_action.sleep if state.next_action else 0.0
    _log.warning("try %d failed (%s); next in %.1f s", state.attempt_number, error, wait_s)
