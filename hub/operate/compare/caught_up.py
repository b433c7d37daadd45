"""Wait until the hub has merged everything in its log for a subject; before that, nothing can be called missing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hub.operate.compare.claims import ClaimsOf
from hub.operate.log.ends import read_log_ends

LOOK_EVERY_S = 0.1

Tell = Callable[[str, int, int | None], None]
"""Receives the progress of a comparison: what it does, how much is done, and of how much if that is known."""


class Waiting(Protocol):
    """Waits for the hub."""

    def wait(self, claims: ClaimsOf, tell: Tell) -> bool:
        """Wait until the hub has merged everything that was sent to it for a subject; return whether it has."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How to wait for the hub.

    Fields:
        bootstrap: Kafka brokers.
        limit_s: longest wait in seconds; then the hub counts as behind.
        sleep: waits that many seconds, or less if the comparison is to end.
    """

    bootstrap: str
    limit_s: float
    sleep: Callable[[float], object] = field(default=time.sleep)

    def wait(self, claims: ClaimsOf, tell: Tell) -> bool:
        """Wait until the hub has read up to the present end of the subject's topic; return whether it has.

        Raises:
            UnreachableError: the broker or the warehouse does not answer.
        """
        stored = claims.next_offsets()
        ends = {place: log.end for place, log in read_log_ends(self.bootstrap, stored).items()}
        deadline = time.monotonic() + self.limit_s
        while True:
            behind = sum(max(0, end - stored.get(place, 0)) for place, end in ends.items())
            tell("records that the hub has yet to merge", behind, None)
            if not behind:
                return bool(stored)
            if time.monotonic() >= deadline:
                return False
            self.sleep(LOOK_EVERY_S)
            stored = claims.next_offsets()
