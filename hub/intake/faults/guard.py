"""The intake's guard against bugs: try known bad batches piece by piece, and record the bug that ends this worker."""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NoReturn

from hub.intake.faults.bugs import BugNotes, Suspects, ended
from hub.intake.faults.piece_by_piece import Careful, Steps
from hub.intake.faults.storms import Storms
from hub.intake.patience import Patience
from hub.intake.prepare import Polled
from hub.intake.status import Errand
from hub.intake.warehouse_port import Store
from hub.model.bug import Bug
from hub.model.errors import PoisonError
from hub.warehouse.batch import Advance, Batch
from hub.warehouse.bugs import ENDS, Range
from hub.warehouse.stops import Stop

_log = logging.getLogger(__name__)


class Guard:
    """Stores bugs durably, and tries suspected records. Used from the event loop."""

    def __init__(
        self, notes: BugNotes, storms: Storms, patience: Patience, in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        """Take the store of bug notes, the breakers, and a function that runs a blocking call in a thread."""
        self.suspects = Suspects(notes)
        self._storms = storms
        self._patience = patience
        self._in_thread = in_thread

    async def end(self, error: BaseException, ranges: Collection[Range]) -> NoReturn:
        """Record a bug found in a batch, then raise the error that ends the worker.

        Raises:
            WorkerBugError: always. It gives the place and no values.
        """
        bug = Bug.of(error)
        raise ended(bug, ranges, await self._note(ranges, bug, 1)) from None

    async def suspect(self, error: PoisonError, ranges: Collection[Range]) -> None:
        """Have a batch tried piece by piece after the next placing: PostgreSQL refuses its rows together."""
        _log.warning("a batch is split into smaller pieces: %s", error)
        await self._note(ranges, Bug.of(error), ENDS)

    async def without_suspects(
        self, parts: list[Polled], steps: Steps, stand_still: Callable[[Sequence[Stop]], Awaitable[None]]
    ) -> list[Polled]:
        """Try suspected records piece by piece; return the parts that are not suspected, for the usual way.

        Raises:
            ConcurrentUpdateError: another worker has one of the partitions.
        """
        suspected = [(part, suspect) for part in parts if (suspect := self.suspects.of(part))]
        if not suspected:
            return parts
        others = [part for part in parts if not self.suspects.of(part)]
        for part, suspect in suspected:
            _log.warning("%s/%d is tried piece by piece from %d", part.topic, part.partition, part.expected)
            if stops := await Careful(steps, self._storms, suspect).run(part):
                await stand_still(stops)
        await self.look_again()
        return others

    def steps(
        self,
        store: Store,
        prepare: Callable[[list[Polled]], Awaitable[Batch]],
        is_wanted: Callable[[], bool],
        count: Callable[[Batch], None],
    ) -> Steps:
        """Return the functions that prepare, commit and try a piece; each waits while a server is unreachable.

        Args:
            store: the warehouse.
            prepare: makes a batch of polled records.
            is_wanted: whether the partitions are still placed as they were.
            count: called with every batch that became durable.
        """

        async def done(call: Callable[[Batch], object], batch: Batch) -> None:
            await self._patience.until_done(Errand.COMMIT, lambda: self._in_thread(call, batch), is_wanted)

        async def commit(batch: Batch) -> None:
            await done(store.commit, batch)
            count(batch)

        return Steps(prepare, commit, lambda batch: done(store.attempt, batch))

    async def look_again(self, advances: Collection[Advance] | None = None) -> None:
        """Read the notes again, to drop finished ones; with ``advances``: only if these passed a noted batch."""
        if advances is None or self.suspects.are_passed(advances):
            await self._patience.until_done(Errand.STOP, lambda: self._in_thread(self.suspects.begin))

    async def _note(self, ranges: Collection[Range], bug: Bug, ends: int) -> int:
        note = self.suspects.notes.note
        return int(await self._patience.until_done(Errand.STOP, lambda: self._in_thread(note, ranges, bug, ends)))
