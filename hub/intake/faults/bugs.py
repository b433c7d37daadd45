"""Handle an error that is a bug: record where it happened, then end the worker.

A bug may have damaged the process's state, so a new process tries the same batch again. The note is durable
(hub.warehouse.bugs), so the next worker knows of it. After two workers ended at the same batch, its partitions are
suspects and are read piece by piece (hub.intake.faults.piece_by_piece).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from hub.intake.decode.decoder import DecoderBugError
from hub.intake.prepare import Polled
from hub.log.places import Partition
from hub.model.bug import Bug
from hub.model.errors import HubError
from hub.warehouse.batch import Advance
from hub.warehouse.bugs import ENDS, Range, Suspect

_PANIC = "PanicException"
"""Class name of a panic in a library's Rust code. It is a BaseException, and its class cannot be imported."""


class WorkerBugError(HubError):
    """A bug ended the worker at a batch. The message gives the place in the code and in the log, and no values."""

    code = "WORKER_BUG"


def is_bug(error: BaseException) -> bool:
    """Tell whether an error is a bug: not one of the hub's own errors, and not a request to end the process."""
    if isinstance(error, HubError):
        return isinstance(error, DecoderBugError)
    return isinstance(error, Exception) or is_panic(error)


def is_panic(error: BaseException) -> bool:
    """Tell whether an error is a panic in a library's Rust code, which is not a Python Exception."""
    return type(error).__name__ == _PANIC


class BugNotes(Protocol):
    """Stores bugs durably; calls block and raise RetryableError."""

    def note(self, ranges: Collection[Range], bug: Bug, ends: int = 1) -> int:
        """Record a bug at some ranges; return the highest number of worker ends at any of them."""

    def suspects(self) -> Mapping[Partition, Suspect]:
        """Return the partitions with a batch that ended workers, and the offset at which that batch ends."""


class NoNotes:
    """For the intake in tests and benchmarks: a bug ends it and nothing is stored."""

    def note(self, ranges: Collection[Range], bug: Bug, ends: int = 1) -> int:
        """Store nothing."""
        return ends

    def suspects(self) -> Mapping[Partition, Suspect]:
        """Return none."""
        return {}


class Suspects:
    """The partitions with a batch that ended workers, as known when the partitions were placed."""

    def __init__(self, notes: BugNotes) -> None:
        self.notes = notes
        self._known: Mapping[Partition, Suspect] = {}

    def begin(self) -> None:
        """Read them again from the store. Blocks."""
        self._known = self.notes.suspects()

    def of(self, part: Polled) -> Suspect | None:
        """Return why these records must be tried piece by piece; None if they need not be."""
        suspect = self._known.get((part.topic, part.partition))
        if suspect is None or not part.offsets or suspect.ends < ENDS or part.expected >= suspect.end_offset:
            return None
        return suspect

    def are_passed(self, advances: Iterable[Advance]) -> bool:
        """Tell whether a batch that is now durable passed the end of a batch that ended workers."""
        ends = ((advance, self._known.get((advance.topic, advance.partition))) for advance in advances)
        return any(suspect and advance.next_offset >= suspect.end_offset for advance, suspect in ends)


def ranges_of(advances: Iterable[Advance]) -> list[Range]:
    """Return the offset ranges by which a batch would have moved its partitions."""
    return [Range(move.topic, move.partition, move.expected, move.next_offset) for move in advances]


def ranges_polled(parts: Iterable[Polled]) -> list[Range]:
    """Return the ranges of some polled records."""
    return [Range(part.topic, part.partition, part.expected, part.next_offset) for part in parts if part.offsets]


def ended(bug: Bug, ranges: Collection[Range], ends: int) -> WorkerBugError:
    """Return the error that ends the worker."""
    places = ", ".join(f"{one.place}/{one.first_offset}" for one in ranges)
    what_next = "the next worker tries it again" if ends < ENDS else "the next worker tries it piece by piece"
    return WorkerBugError(f"{bug}\n{places}: workers ended by this batch: {ends}; {what_next}")
