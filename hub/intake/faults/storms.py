"""The breakers of a worker's partitions, and the partitions that are stopped.

Examining a batch never blocks. ``hub.warehouse.stops`` reads and writes the stored stops.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import polars as pl

from hub.intake.faults.breaker import Breaker, Trip
from hub.intake.prepare import Polled
from hub.log.places import Partition
from hub.model.bug import Bug
from hub.model.errors import DeadLetterLimitError
from hub.model.outcomes import Reason
from hub.model.policies.breaker_limits import DEFAULT_LIMITS, BreakerLimits
from hub.model.stop_causes import StopCause
from hub.warehouse.batch import Batch
from hub.warehouse.offsets import Position
from hub.warehouse.stops import Past, Stop


class Stops(Protocol):
    """Stores stops durably; calls block and raise RetryableError."""

    limits: BreakerLimits
    worker: str

    def pasts(self, positions: Mapping[Partition, Position]) -> Mapping[Partition, Past]:
        """Return what breakers must know of partitions at their stored positions."""

    def write(self, stops: Collection[Stop]) -> None:
        """Make stops durable."""

    def standing(self) -> frozenset[Partition]:
        """Return the partitions that are stopped."""


class NoStops:
    """For an intake that nothing stops: the records of a storm become dead letters."""

    limits = DEFAULT_LIMITS
    worker = ""

    def pasts(self, positions: Mapping[Partition, Position]) -> Mapping[Partition, Past]:
        """Return nothing: there are no breakers."""
        return {}

    def write(self, stops: Collection[Stop]) -> None:
        """Store nothing."""

    def standing(self) -> frozenset[Partition]:
        """Return none."""
        return frozenset()


class Storms:
    """Examines every prepared batch, in log order.

    Fields:
        standing: the stops in force, of the partitions that are placed here.
        store: the durable stops.
    """

    def __init__(self, store: Stops) -> None:
        self.store = store
        self.standing: dict[Partition, Stop] = {}
        self._breakers: dict[Partition, Breaker] = {}

    def begin(self, positions: Mapping[Partition, Position]) -> None:
        """Start again from what is stored about the placed partitions. Blocks."""
        pasts = self.store.pasts(positions)
        self.standing = {partition: past.stop for partition, past in pasts.items() if past.stop is not None}
        self._breakers = {
            partition: Breaker.after(self.store.limits, positions[partition].next_offset, past.poison, past.allowance)
            for partition, past in pasts.items()
        }

    def look(self, polled: Sequence[Polled], batch: Batch) -> list[Stop]:
        """Return the stops of the partitions of a prepared batch that must stop; they are stopped from now on."""
        found = []
        for part in polled:
            breaker = self._breakers.get((part.topic, part.partition))
            if breaker is None:
                continue
            offsets: list[int] = []
            reasons: Counter[str] = Counter()
            if batch.dead_letters.height:
                letters = batch.dead_letters.filter(pl.col("log") == part.log)
                offsets, reasons = sorted(letters["log_offset"]), Counter(letters["reason"])
            poison = [bisect_left(part.offsets, offset) for offset in offsets]
            if trip := breaker.look(len(part.offsets), poison):
                found.append(
                    self._stop(part, _why(trip, breaker.allowance, len(poison)), part.offsets[trip.at], reasons)
                )
        self.standing |= {(stop.topic, stop.partition): stop for stop in found}
        return found

    def stops_of(self, error: DeadLetterLimitError, batch: Batch) -> list[Stop]:
        """Return stops of the partitions of which PostgreSQL refused too many rows; they are stopped from now on."""
        found = []
        for advance in batch.advances:
            refused = [place for place in error.refused if place[0] == advance.log]
            if refused:
                why = f"PostgreSQL refuses rows of this batch, {len(error.refused)} so far"
                counts, last = Counter(reason for _, _, reason in refused), max(offset for _, offset, _ in refused)
                partition = advance.topic, advance.partition
                store = self.store
                found.append(Stop(*partition, advance.expected, last, why, counts, store.limits, store.worker))
        self.standing |= {(stop.topic, stop.partition): stop for stop in found}
        return found

    def stop_for(self, part: Polled, bug: Bug) -> Stop:
        """Return the stop of a partition at its first record, because of a bug; it is stopped from now on."""
        place, at, store = (part.topic, part.partition), part.offsets[0], self.store
        why = f"a bug of the hub: {bug.title}"
        reasons = {Reason.WORKER_BUG.value: 1}
        said = store.limits, store.worker
        stop = Stop(*place, part.expected, at, why, reasons, *said, cause=StopCause.WORKER_BUG, bug=str(bug))
        self.standing[place] = stop
        return stop

    def is_any_over(self) -> bool:
        """Tell whether somebody resumed a partition that is stopped here. Blocks."""
        return not self.store.standing().issuperset(self.standing)

    def _stop(self, part: Polled, why: str, at: int, reasons: Counter[str]) -> Stop:
        store = self.store
        return Stop(part.topic, part.partition, part.expected, at, why, reasons, store.limits, store.worker)


def _why(trip: Trip, accepted: int, poison: int) -> str:
    """Say why a partition stops; if an operator accepted too few poison records, how many wait at the least."""
    if not accepted:
        return str(trip)
    return f"{trip}, not counting the {accepted} that were accepted; at least {poison} wait: accept so many or more"
