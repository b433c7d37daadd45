"""Try the records of one partition piece by piece, after a bug or PostgreSQL refused them together.

Each piece is a batch of its own; pieces are committed one after the other in log order. A piece that fails is halved.
If a single record fails, the fault is either the record or the code. It is the record if others of its partition were
merged in the same try, or can be merged (tried and rolled back). Then the record becomes a dead letter WORKER_BUG.
Otherwise, or if too many records fail, it is the code, and the partition stops before that record. Every step commits
something, sets a record aside or stops the partition, so the procedure ends.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from hub.intake.faults.bugs import is_bug
from hub.intake.faults.storms import Storms
from hub.intake.prepare import Polled, set_aside
from hub.model.bug import Bug
from hub.model.errors import DeadLetterLimitError, PoisonError
from hub.model.outcomes import Reason
from hub.warehouse.batch import Batch
from hub.warehouse.bugs import Suspect
from hub.warehouse.stops import Stop

MOST_SET_ASIDE = 10
"""If more single records than this fail in one try of a partition, the code is at fault, not the records."""

NEIGHBOURS_TRIED = 5
"""How many records after a failing one are tried, to find out whether any record of the partition can be merged."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The functions that prepare a piece, commit it, or try it and roll it back; their errors pass through."""

    prepare: Callable[[list[Polled]], Awaitable[Batch]]
    commit: Callable[[Batch], Awaitable[None]]
    attempt: Callable[[Batch], Awaitable[None]]


class Careful:
    """One try of one partition's records."""

    def __init__(self, steps: Steps, storms: Storms, suspect: Suspect) -> None:
        self._steps = steps
        self._storms = storms
        self._accepted = suspect.accepted
        self._merged = 0
        self._failed = 0
        self._looked_to = 0

    async def run(self, part: Polled) -> Sequence[Stop]:
        """Commit as much as possible; return the partition's stop, or nothing if every record has its outcome.

        Raises:
            ConcurrentUpdateError: another worker has the partition.
        """
        pieces = [part]
        while pieces:
            piece = pieces.pop()
            found = await self._tried(piece)
            if isinstance(found, Bug) and len(piece.offsets) > 1:
                pieces += reversed(_halves(piece))
            elif isinstance(found, Bug):
                if not await self._is_the_record(piece, pieces):
                    return [self._storms.stop_for(piece, found)]
                failed = await self._set_aside(piece, found)
                if failed is not None:
                    return [self._storms.stop_for(piece, failed)]
            elif found:
                return found
        return []

    async def _tried(self, piece: Polled) -> Bug | Sequence[Stop]:
        """Commit a piece; return the bug it met, or the partition's stop because of a storm of poison records."""
        batch = None
        try:
            batch = await self._steps.prepare([piece])
            if piece.offsets[0] >= self._looked_to:
                self._looked_to = piece.offsets[-1] + 1
                if stops := self._storms.look([piece], batch):
                    return stops
            await self._steps.commit(batch)
        except DeadLetterLimitError as error:
            return self._storms.stops_of(error, batch) if batch is not None else [self._stop(piece, error)]
        except BaseException as error:
            if not (is_bug(error) or isinstance(error, PoisonError)):
                raise
            return Bug.of(error)
        self._merged += _rows(batch)
        return []

    def _stop(self, piece: Polled, error: DeadLetterLimitError) -> Stop:
        return self._storms.stop_for(piece, Bug.of(error))

    async def _is_the_record(self, piece: Polled, later: Sequence[Polled]) -> bool:
        """Tell whether a record that failed alone is the cause, and not the code."""
        self._failed += 1
        if self._failed <= self._accepted:
            return True
        if self._failed - self._accepted > MOST_SET_ASIDE:
            return False
        return self._merged > 0 or await self._can_a_neighbour_be_merged(piece, later)

    async def _can_a_neighbour_be_merged(self, piece: Polled, later: Sequence[Polled]) -> bool:
        for neighbour in _first_records(later, NEIGHBOURS_TRIED):
            try:
                batch = await self._steps.prepare([neighbour])
                moves = tuple(replace(advance, expected=piece.expected) for advance in batch.advances)
                await self._steps.attempt(replace(batch, advances=moves))
            except BaseException as error:
                if not (is_bug(error) or isinstance(error, PoisonError)):
                    raise
                continue
            if _rows(batch):
                return True
        return False

    async def _set_aside(self, piece: Polled, bug: Bug) -> Bug | None:
        """Make a record a dead letter; return the bug if even that fails."""
        try:
            await self._steps.commit(set_aside(piece, Reason.WORKER_BUG, bug.title))
        except BaseException as error:
            if not (is_bug(error) or isinstance(error, PoisonError)):
                raise
            return Bug.of(error)
        return None


def _rows(batch: Batch) -> int:
    return sum(accepted.frame.height for accepted in batch.accepted)


def _halves(piece: Polled) -> tuple[Polled, Polled]:
    middle = len(piece.offsets) // 2
    return _slice(piece, 0, middle), _slice(piece, middle, len(piece.offsets))


def _slice(piece: Polled, first: int, end: int) -> Polled:
    return replace(
        piece,
        expected=piece.offsets[first - 1] + 1 if first else piece.expected,
        offsets=piece.offsets[first:end],
        keys=piece.keys[first:end],
        values=piece.values[first:end],
        after=piece.after if end == len(piece.offsets) else -1,
    )


def _first_records(pieces: Sequence[Polled], most: int) -> Iterator[Polled]:
    """Yield the next records one by one; the list of pieces is in reverse order."""
    singles = (_slice(piece, place, place + 1) for piece in reversed(pieces) for place in range(len(piece.offsets)))
    for _, single in zip(range(most), singles, strict=False):
        yield single
