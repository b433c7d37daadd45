"""The intake's status: counts since its start, and what it waits for."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from hub.model.errors import HubError

MOST_UNKNOWN_SCHEMAS = 32
"""Maximum number of unknown schema ids that a worker waits for in its lifetime: a lagging registry misses one or two.
"""


class Errand(StrEnum):
    """What the intake does that needs a server and may have to wait for it."""

    CONNECT = "connect"
    PLACE = "place"
    COMMIT = "commit"
    WATCH = "watch"
    STOP = "stop"
    EVIDENCE = "evidence"
    RELEASE = "release"
    DATABASE = "database"

    @property
    def parties(self) -> frozenset[str]:
        """The servers that the errand needs. An outage of a server is logged once, however many errands wait for it."""
        return _PARTIES[self]


_KAFKA, _POSTGRES = frozenset({"Kafka"}), frozenset({"PostgreSQL"})
_PARTIES = {
    Errand.CONNECT: _KAFKA,
    Errand.WATCH: _KAFKA,
    Errand.PLACE: _KAFKA | _POSTGRES,
    Errand.COMMIT: _POSTGRES,
    Errand.STOP: _POSTGRES,
    Errand.RELEASE: _POSTGRES,
    Errand.DATABASE: _POSTGRES,
    Errand.EVIDENCE: frozenset({"evidence"}),
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why an errand waits, and since when (seconds since the epoch)."""

    why: str
    since: float


@dataclass(slots=True)
class IntakeStatus:
    """Counts since start, and the errands that wait for an unreachable server.

    Fields:
        consumed, batches: records and batches made durable by this worker.
        partitions: number of partitions placed with this worker.
        waiting: by errand and lane; empty while nothing waits.
        ended_by: the error of the hub's own kinds that stopped the intake.
        stopped: stopped partitions, and why each is stopped.
        unknown_schemas: unknown schema ids, and when each was first seen (monotonic clock).
        progress_at: when the poll loop last completed a step (seconds since the epoch).
        behind: number of unpolled records of the placed partitions, as far as the broker has reported.
    """

    consumed: int = 0
    batches: int = 0
    partitions: int = 0
    waiting: dict[tuple[Errand, int], Waiting] = field(default_factory=dict)
    ended_by: HubError | None = None
    stopped: dict[str, str] = field(default_factory=dict)
    unknown_schemas: dict[int, float] = field(default_factory=dict)
    progress_at: float = field(default_factory=time.time)
    behind: int = 0

    def turned(self, behind: int) -> None:
        """Note that the poll loop completed a step, and how many records are unpolled."""
        self.progress_at, self.behind = time.time(), behind

    def is_schema_awaited(self, schema_ids: Iterable[int], now: float, wait_s: float) -> bool:
        """Tell whether to read a batch again because the registry may not yet have an unknown schema id.

        Each id is waited for once, for ``wait_s``. After ``MOST_UNKNOWN_SCHEMAS`` ids, new ones are not waited for:
        such a producer invents ids.
        """
        awaited = False
        for schema_id in schema_ids:
            if schema_id not in self.unknown_schemas:
                if len(self.unknown_schemas) >= MOST_UNKNOWN_SCHEMAS:
                    continue
                self.unknown_schemas[schema_id] = now
            awaited = awaited or now - self.unknown_schemas[schema_id] < wait_s
        return awaited

    def waits(self, errand: Errand, why: str, lane: int = 0) -> bool:
        """Note that an errand waits; tell whether this wait is new."""
        before = self.waiting.get((errand, lane))
        self.waiting[errand, lane] = Waiting(why, before.since if before else time.time())
        return before is None

    def goes_on(self, errand: Errand, lane: int = 0) -> bool:
        """Note that an errand is done; tell whether it had been waiting."""
        return self.waiting.pop((errand, lane), None) is not None

    def since_when(self, errand: Errand) -> float | None:
        """Return since when any errand waits for a server that this errand needs; None if none does."""
        return min(
            (waiting.since for (other, _), waiting in self.waiting.items() if other.parties & errand.parties),
            default=None,
        )

    def longest_wait(self) -> Waiting | None:
        """Return the longest wait; None if nothing waits."""
        return min(self.waiting.values(), key=lambda waiting: waiting.since, default=None)
