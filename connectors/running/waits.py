"""What a stream waits for, and since when: reported at once, then at growing intervals, and when the wait ends."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

_log = logging.getLogger(__name__)

FIRST_AGAIN_S = 15.0
"""A wait is reported again after this many seconds, then after twice as long, and so on."""

MOST_AGAIN_S = 900.0
"""The longest interval between two reports of the same wait, in seconds."""

Keep = Callable[[str | None, datetime], None]
"""Takes what is waited for and since when; None: the wait has ended."""


class Waits:
    """The waits of one stream, one at a time."""

    def __init__(self, name: str, keep: Keep, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the stream's name for the log, and the function that stores a wait for `hub connect status`."""
        self._name = name
        self._keep = keep
        self._clock = clock
        self._kind: str | None = None
        self._since = datetime.now(UTC)
        self._began = self._next = 0.0
        self._every = FIRST_AGAIN_S
        self._is_said = False

    def tell(self, kind: str, text: Callable[[], str], after_s: float = 0.0) -> None:
        """Report what is waited for, if it is new or its next report is due.

        Args:
            kind: identifies the wait: another kind is another wait.
            text: returns what is waited for; called only for a report. It contains no value of a row (I8).
            after_s: a shorter wait than this is not reported.
        """
        now = self._clock()
        if kind != self._kind:
            self._kind, self._since, self._began = kind, datetime.now(UTC), now
            self._next, self._every = now + after_s, FIRST_AGAIN_S
            self._is_said = False
        if now < self._next:
            return
        self._next, self._every = now + self._every, min(self._every * 2, MOST_AGAIN_S)
        self._is_said, said = True, text()
        _log.warning("%s waits since %s: %s", self._name, self._since.isoformat(timespec="seconds"), said)
        self._keep(said, self._since)

    def over(self) -> None:
        """Report that the wait has ended, if it was reported before."""
        if self._kind is not None and self._is_said:
            _log.warning("%s goes on after %.0f s", self._name, self._clock() - self._began)
            self._keep(None, self._since)
        self._kind = None
