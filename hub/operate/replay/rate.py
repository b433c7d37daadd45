"""A cap on how fast a replay reads, so that the live worker keeps the database to itself as far as wanted."""

import time
from collections.abc import Callable


class RateCap:
    """Lets so many events pass in a second, on the average since it began; not more at once than one second's."""

    def __init__(self, events_per_s: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to count.

        Args:
            events_per_s: the cap; None for none.
            clock: seconds that only rise.
        """
        self._events_per_s = events_per_s
        self._clock = clock
        self._free_at = clock()

    def most(self, rows: int) -> int:
        """Return how many events may be read at once, given how many there could be."""
        return rows if self._events_per_s is None else max(1, min(rows, self._events_per_s))

    def wait_s(self, events: int) -> float:
        """Return how long to wait before reading on, when so many events have just been read."""
        if self._events_per_s is None:
            return 0.0
        now = self._clock()
        self._free_at = max(self._free_at, now) + events / self._events_per_s
        return max(0.0, self._free_at - now)
