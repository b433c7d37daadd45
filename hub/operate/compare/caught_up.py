"""Wait until the hub has merged all that its log holds of a subject: until then nothing can be said to be missing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hub.operate.compare.claims import ClaimsOf
from hub.operate.log.ends import read_log_ends

LOOK_EVERY_S = 0.1

Tell = Callable[[str, int, int | None], None]
"""Told how far a comparison is: what it does, how much is done, of how much if that is known."""


class Waiting(Protocol):
    """Waits for the hub."""

    def wait(self, claims: ClaimsOf, tell: Tell) -> bool:
        """Wait until the hub has merged all that was sent to it of a subject; return whether it has."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How to wait for the hub.

    Fields:
        bootstrap: Kafka brokers.
        limit_s: longest wait; then the hub counts as behind.
        sleep: waits so many seconds, less when the comparison is to end.
    """

    bootstrap: str
    limit_s: float
    sleep: Callable[[float], object] = field(default=time.sleep)

    def wait(self, claims: ClaimsOf, tell: Tell) -> bool:
        """Wait until the hub has read up to where the subject's topic ends now; return whether it has.

        Raises:
            UnreachableError: broker or warehouse does not answer.
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
