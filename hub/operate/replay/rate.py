"""A cap on how fast a replay reads, so that the live worker keeps as much of the database as wanted."""

import time
from collections.abc import Callable


class RateCap:
    """Lets a number of events pass per second, on average since it began; at most one second's number at once."""

    def __init__(self, events_per_s: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to count.

        Args:
            events_per_s: the cap; None: no cap.
            clock: returns seconds that only rise.
        """
        self._events_per_s = events_per_s
        self._clock = clock
        self._free_at = clock()

    def most(self, rows: int) -> int:
        """Return how many events may be read at once, given how many there could be."""
        return rows if self._events_per_s is None else max(1, min(rows, self._events_per_s))

    def wait_s(self, events: int) -> float:
        """Return how many seconds to wait before reading on, after ``events`` events were read."""
        if self._events_per_s is None:
            return 0.0
        now = self._clock()
        self._free_at = max(self._free_at, now) + events / self._events_per_s
        return max(0.0, self._free_at - now)
