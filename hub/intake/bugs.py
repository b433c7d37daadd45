"""What the intake does about an error that is a bug: note where it was, then end the worker.

A bug may have damaged what the process holds, so a fresh process tries the same batch again. The note is durable, so
that whoever comes next knows (hub.warehouse.bugs): after two ends at one batch its partitions are suspects, and read
piece by piece (hub.intake.piece_by_piece).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from hub.intake.decode.decoder import DecoderBugError
from hub.intake.prepare import Polled
from hub.model.bug import Bug
from hub.model.errors import HubError
from hub.warehouse.batch import Advance
from hub.warehouse.bugs import ENDS, Partition, Range, Suspect

_PANIC = "PanicException"
"""A panic in a library's Rust code: a BaseException of a class that cannot be imported."""


class WorkerBugError(HubError):
    """A bug ended the worker at a batch. The message says where in the code and in the log, and no value."""

    code = "WORKER_BUG"


def is_bug(error: BaseException) -> bool:
    """Tell whether an error is a bug: it has no name among the hub's errors and is no end of the process."""
    if isinstance(error, HubError):
        return isinstance(error, DecoderBugError)
    return isinstance(error, Exception) or is_panic(error)


def is_panic(error: BaseException) -> bool:
    """Tell whether an error is a panic in a library's Rust code, which is no Exception of Python."""
    return type(error).__name__ == _PANIC


class BugNotes(Protocol):
    """What is durable about bugs; calls block and raise RetryableError."""

    def note(self, ranges: Collection[Range], bug: Bug, ends: int = 1) -> int:
        """Note a bug at some ranges; return the most ends at one of them."""

    def suspects(self) -> Mapping[Partition, Suspect]:
        """Return the partitions with a batch that ended workers, and up to where it goes."""


class NoNotes:
    """For an intake of tests and benchmarks: a bug ends it, and the next one knows nothing."""

    def note(self, ranges: Collection[Range], bug: Bug, ends: int = 1) -> int:
        """Keep nothing."""
        return ends

    def suspects(self) -> Mapping[Partition, Suspect]:
        """Return none."""
        return {}


class Suspects:
    """The partitions with a batch that ended workers, as they were known when the partitions were placed."""

    def __init__(self, notes: BugNotes) -> None:
        self.notes = notes
        self._known: Mapping[Partition, Suspect] = {}

    def begin(self) -> None:
        """Read them anew. Blocks."""
        self._known = self.notes.suspects()

    def of(self, part: Polled) -> Suspect | None:
        """Return why some records must be tried carefully; None: they need not."""
        suspect = self._known.get((part.topic, part.partition))
        if suspect is None or not part.offsets or suspect.ends < ENDS or part.expected >= suspect.end_offset:
            return None
        return suspect

    def are_passed(self, advances: Iterable[Advance]) -> bool:
        """Tell whether a batch that is durable now holds the last record of one that ended workers."""
        ends = ((advance, self._known.get((advance.topic, advance.partition))) for advance in advances)
        return any(suspect and advance.next_offset >= suspect.end_offset for advance, suspect in ends)


def ranges_of(advances: Iterable[Advance]) -> list[Range]:
    """Return the ranges that a batch would have moved its partitions by."""
    return [Range(move.topic, move.partition, move.expected, move.next_offset) for move in advances]


def ranges_polled(parts: Iterable[Polled]) -> list[Range]:
    """Return the ranges of some polled records."""
    return [Range(part.topic, part.partition, part.expected, part.next_offset) for part in parts if part.offsets]


def ended(bug: Bug, ranges: Collection[Range], ends: int) -> WorkerBugError:
    """Return the error that ends the worker."""
    places = ", ".join(f"{one.place}@{one.first_offset}" for one in ranges)
    what_next = "the next worker tries it again" if ends < ENDS else "the next worker tries it piece by piece"
    return WorkerBugError(f"{bug}\n{places}: end {ends} of a worker at this batch; {what_next}")
