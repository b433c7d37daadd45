"""What a long-running process waits for, and since when; logged at once, every minute, and when the wait ends."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tenacity import RetryCallState

_log = logging.getLogger(__name__)
AGAIN_S = 60.0
"""How often the log repeats that the same wait continues."""


@dataclass(slots=True)
class Waiting:
    """One wait at a time.

    Fields:
        clock: seconds that only increase; injected by tests.
        why: what is waited for; empty while nothing is.
        since: since when.
    """

    clock: Callable[[], float] = time.monotonic
    why: str = ""
    since: datetime | None = None
    _began: float = field(default=0.0, repr=False)
    _said: float = field(default=0.0, repr=False)

    @property
    def seconds(self) -> float:
        """Duration of the wait in seconds; 0 while there is none."""
        return self.clock() - self._began if self.why else 0.0

    def waits(self, why: str) -> None:
        """Note the wait; a new reason does not restart its duration."""
        now = self.clock()
        if not self.why:
            self.since, self._began = datetime.now(UTC), now
        if why != self.why or now - self._said >= AGAIN_S:
            self._said = now
            since = f"since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
            _log.warning("waits (%s): %s", since, why)
        self.why = why

    def goes_on(self) -> bool:
        """Note that the wait is over; tell whether there was one."""
        if not self.why:
            return False
        _log.warning("goes on after %.0f s; it had waited for: %s", self.seconds, self.why)
        self.why, self.since = "", None
        return True

    def note_retry(self, state: RetryCallState) -> None:
        """Note that a call is tried again: for ``before_sleep`` of a retry policy."""
        error = state.outcome.exception() if state.outcome else None
        self.waits(str(error))
