"""The warehouse's functions that the intake needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hub.intake.broker.placing import ReadPositions
from hub.intake.chore_runs import ChoreNotes, NoChoreNotes
from hub.intake.faults.bugs import BugNotes, NoNotes
from hub.reconcile.parking.releasing import Releasable
from hub.warehouse.batch import Batch


def _no_attempt(batch: Batch) -> None:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Store:
    """The warehouse's functions that the intake needs. All block; the intake calls them in threads.

    Fields:
        place: returns the stored positions of partitions, given the log as it is now; raises UnreachableError.
        commit: makes a batch durable; raises RetryableError or ConcurrentUpdateError.
        releasable: returns parked records that may go (hub.intake.release).
        attempt: does what ``commit`` does and rolls it back; by default it is not available.
        notes: stores bugs.
        chores: stores bugs in chores.
    """

    place: ReadPositions
    commit: Callable[[Batch], object]
    releasable: Callable[[int, bool], Sequence[Releasable]]
    attempt: Callable[[Batch], object] = _no_attempt
    notes: BugNotes = field(default_factory=NoNotes)
    chores: ChoreNotes = field(default_factory=NoChoreNotes)
