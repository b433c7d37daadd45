"""A run's state while it runs: that it makes progress, what it waits for, since when it has not caught up."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Pulse:
    """Written by the run loop, read by the thread that sends heartbeats (connectors.running.heartbeat).

    Fields:
        began_at: when the run began.
        progress_at: when it last published a page or completed a round of its streams.
        caught_up_at: when every stream had last been read to its high-water mark; None: not yet.
        published: records published so far.
    """

    began_at: datetime = field(default_factory=_now)
    progress_at: datetime = field(default_factory=_now)
    caught_up_at: datetime | None = None
    published: int = 0
    _waits: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def turned(self, published: int) -> None:
        """Note progress; ``published``: number of records in the page that was confirmed."""
        self.progress_at = _now()
        self.published += published

    def caught_up(self) -> None:
        """Note that every stream was read to its high-water mark."""
        self.progress_at = self.caught_up_at = _now()

    def waits(self, stream: str, waits_for: str | None, since: datetime) -> None:
        """Note what a stream waits for; None: it no longer waits."""
        with self._lock:
            if waits_for is None:
                self._waits.pop(stream, None)
            else:
                self._waits[stream] = (f"{stream}: {waits_for}", since)

    def longest_wait(self) -> tuple[str, datetime] | None:
        """Return the longest wait and since when it lasts; None if nothing is waited for."""
        with self._lock:
            return min(self._waits.values(), key=lambda wait: wait[1], default=None)

    def behind_s(self) -> float:
        """Return for how many seconds some stream has not been read to its high-water mark."""
        return (_now() - (self.caught_up_at or self.began_at)).total_seconds()
