"""What the intake says of itself: counts since it began, and what it waits for."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from hub.model.errors import HubError

MOST_UNKNOWN_SCHEMAS = 32
"""So many unknown schema ids are waited for in a worker's life: a registry that lags is behind by one or two."""


class Errand(StrEnum):
    """What the intake does with its environment, and may have to wait for."""

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
        """What of the environment the errand needs: an outage of it is told once, whatever else waits for the same."""
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
    """Why an errand does not go on, and since when (seconds since the epoch)."""

    why: str
    since: float


@dataclass(slots=True)
class IntakeStatus:
    """Counts since start, and the errands that wait for an environment that is away.

    Fields:
        consumed, batches: made durable by this worker.
        partitions: placed with this worker.
        waiting: by errand and lane; empty while all is there.
        ended_by: the error that the hub has a name for and that stopped the intake.
        stopped: partitions that a storm of poison records has stopped, and why.
        unknown_schemas: schema ids that nobody knew, and when they were first seen (monotonic clock).
        progress_at: when the poll loop turned last (seconds since the epoch).
        behind: records of the placed partitions that are not polled yet, as far as the broker has told.
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
        """Note that the poll loop turned, and how many records it has still to poll."""
        self.progress_at, self.behind = time.time(), behind

    def is_schema_awaited(self, schema_ids: Iterable[int], now: float, wait_s: float) -> bool:
        """Tell whether a batch is worth reading again because a registry may only lag behind an unknown schema id.

        Each id is waited for once, ``wait_s`` long; a producer that invents ids by the dozen is not waited for at all.
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
        """Note that an errand waits; tell whether it has only begun to."""
        before = self.waiting.get((errand, lane))
        self.waiting[errand, lane] = Waiting(why, before.since if before else time.time())
        return before is None

    def goes_on(self, errand: Errand, lane: int = 0) -> bool:
        """Note that an errand was done; tell whether it had been waiting."""
        return self.waiting.pop((errand, lane), None) is not None

    def since_when(self, errand: Errand) -> float | None:
        """Return since when anything waits for what an errand needs; None: nothing does."""
        return min(
            (waiting.since for (other, _), waiting in self.waiting.items() if other.parties & errand.parties),
            default=None,
        )

    def longest_wait(self) -> Waiting | None:
        """Return what has been waited for longest; None while all is there."""
        return min(self.waiting.values(), key=lambda waiting: waiting.since, default=None)
