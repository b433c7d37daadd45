"""The ten states of a dossier at the national portal, and which moves between them need an explanation.

A move is DIRECT if the portal's table allows it. It is SKIPPED if allowed moves lead there, but the steps between were
not reported. It is BACKWARD if no allowed moves lead there, or if the table allows it only as a correction. A backward
move is accepted if the source explains it: operation CORRECT with a reason. Any other backward move is a question until
the source explains it, or until a late event in between shows that nothing moved backward. No event is ever dropped
because of it.

The open questions are a pure function of a source's accepted versions in (epoch, version) order, so the order in which
they came does not matter (I4).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import product

from hub.model.envelope import Operation


class Status(StrEnum):
    """The portal's states, in the order of its codes 1 to 10; UNKNOWN is a source's word that maps to none."""

    REGISTERED = "REGISTERED"
    ACCEPTED = "ACCEPTED"
    REJECTED_AT_INTAKE = "REJECTED_AT_INTAKE"
    IN_PROCESS = "IN_PROCESS"
    SUPPLEMENT_REQUESTED = "SUPPLEMENT_REQUESTED"
    PAYMENT_REQUIRED = "PAYMENT_REQUIRED"
    WITHDRAWN = "WITHDRAWN"
    STOPPED = "STOPPED"
    RESULT_READY = "RESULT_READY"
    RESULT_RETURNED = "RESULT_RETURNED"
    UNKNOWN = "UNKNOWN"


BY_CODE: dict[int, Status] = dict(enumerate((status for status in Status if status is not Status.UNKNOWN), 1))
"""The portal's codes."""

_ALLOWED_CODES = {1: (2, 3, 5, 7), 2: (4, 5, 6, 8, 9), 4: (5, 6, 7, 8, 9), 5: (2, 4, 7, 8), 6: (4, 7, 8, 9)} | {
    8: (10,),
    9: (10,),
}
ALLOWED: frozenset[tuple[Status, Status]] = frozenset(
    (BY_CODE[old], BY_CODE[new]) for old, codes in _ALLOWED_CODES.items() for new in codes
)
"""Moves forward; staying in a state is not a move."""

CORRECTIONS: frozenset[tuple[Status, Status]] = frozenset(
    {(Status.RESULT_READY, Status.IN_PROCESS), (Status.STOPPED, Status.IN_PROCESS)}
)
"""Moves that the portal accepts only as corrections: they are backward, whatever other moves allow."""

PAUSED: frozenset[Status] = frozenset({Status.SUPPLEMENT_REQUESTED, Status.PAYMENT_REQUIRED})
"""States in which the deadline's clock is paused, because the applicant must act."""

ENDED: frozenset[Status] = frozenset(
    {
        Status.REJECTED_AT_INTAKE,
        Status.WITHDRAWN,
        Status.STOPPED,
        Status.RESULT_READY,
        Status.RESULT_RETURNED,
    }
)
"""States in which handling, and the deadline's clock, have ended, whether the result was handed over or not."""


class Move(StrEnum):
    """How one status follows another."""

    STAYED = "STAYED"
    DIRECT = "DIRECT"
    SKIPPED = "SKIPPED"
    BACKWARD = "BACKWARD"


def _reachable() -> frozenset[tuple[Status, Status]]:
    """Return the pairs that a chain of allowed moves connects."""
    found = set(ALLOWED)
    while True:
        longer = {(one, end) for (one, middle), (start, end) in product(found, ALLOWED) if middle is start}
        if longer <= found:
            return frozenset(found)
        found |= longer


REACHABLE: frozenset[tuple[Status, Status]] = _reachable()
"""Moves forward, with any number of skipped steps."""


def move(old: Status, new: Status) -> Move:
    """Tell how ``new`` follows ``old``; neither may be UNKNOWN, about which nothing can be said."""
    if old is new:
        return Move.STAYED
    if (old, new) in ALLOWED:
        return Move.DIRECT
    if (old, new) in REACHABLE and (old, new) not in CORRECTIONS:
        return Move.SKIPPED
    return Move.BACKWARD


BACKWARD: tuple[tuple[Status, Status], ...] = tuple(
    (old, new) for old, new in product(BY_CODE.values(), BY_CODE.values()) if move(old, new) is Move.BACKWARD
)
"""Every backward move; the warehouse's statement looks for these."""

BLANKS = " \t\r\n"
"""A reason that consists only of these characters is empty."""


@dataclass(frozen=True, slots=True)
class Version:
    """One accepted version of what a source says about a dossier's progress: the fields for status and clock."""

    epoch: int
    version: int
    occurred_at: datetime
    status: Status
    operation: Operation = Operation.UPDATE
    status_reason: str | None = None
    received_at: datetime | None = None
    due_at: datetime | None = None
    finished_at: datetime | None = None
    rejected_at: datetime | None = None

    @property
    def order(self) -> tuple[int, int]:
        """Its position among its source's versions."""
        return (self.epoch, self.version)

    @property
    def is_revoked(self) -> bool:
        """Whether the source withdraws what it said; later versions start again."""
        return self.operation is Operation.REVOKE
