"""The intake's guard against bugs: what ended workers before is tried piece by piece, what ends this one is noted."""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NoReturn

from hub.intake.bugs import BugNotes, Suspects, ended
from hub.intake.patience import Patience
from hub.intake.piece_by_piece import Careful, Steps
from hub.intake.prepare import Polled
from hub.intake.status import Errand
from hub.intake.storms import Storms
from hub.intake.warehouse_port import Store
from hub.model.bug import Bug
from hub.model.errors import PoisonError
from hub.warehouse.batch import Advance, Batch
from hub.warehouse.bugs import ENDS, Range
from hub.warehouse.stops import Stop

_log = logging.getLogger(__name__)


class Guard:
    """Notes bugs durably, and tries suspected records. Used from the event loop."""

    def __init__(
        self, notes: BugNotes, storms: Storms, patience: Patience, in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        """Take where bugs are noted, the breakers, and what runs a blocking call in a thread."""
        self.suspects = Suspects(notes)
        self._storms = storms
        self._patience = patience
        self._in_thread = in_thread

    async def end(self, error: BaseException, ranges: Collection[Range]) -> NoReturn:
        """Note a bug that was met in a batch; then raise what ends the worker.

        Raises:
            WorkerBugError: always; it says where, and no value.
        """
        bug = Bug.of(error)
        raise ended(bug, ranges, await self._note(ranges, bug, 1)) from None

    async def suspect(self, error: PoisonError, ranges: Collection[Range]) -> None:
        """Have a batch tried piece by piece when its partitions are placed anew: its rows do not go together."""
        _log.warning("a batch goes in smaller pieces: %s", error)
        await self._note(ranges, Bug.of(error), ENDS)

    async def without_suspects(
        self, parts: list[Polled], steps: Steps, stand_still: Callable[[Sequence[Stop]], Awaitable[None]]
    ) -> list[Polled]:
        """Try suspected records piece by piece; return the parts that are not suspected, to go as usual.

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
        """Return how a piece is prepared, made durable and tried; each waits while the environment is away.

        Args:
            store: the warehouse.
            prepare: makes a batch of polled records.
            is_wanted: whether the partitions are still placed as they were.
            count: is told of every batch that is durable.
        """

        async def done(call: Callable[[Batch], object], batch: Batch) -> None:
            await self._patience.until_done(Errand.COMMIT, lambda: self._in_thread(call, batch), is_wanted)

        async def commit(batch: Batch) -> None:
            await done(store.commit, batch)
            count(batch)

        return Steps(prepare, commit, lambda batch: done(store.attempt, batch))

    async def look_again(self, advances: Collection[Advance] | None = None) -> None:
        """Drop the notes of what is durable by now; with ``advances``: only when these have passed a note's end."""
        if advances is None or self.suspects.are_passed(advances):
            await self._patience.until_done(Errand.STOP, lambda: self._in_thread(self.suspects.begin))

    async def _note(self, ranges: Collection[Range], bug: Bug, ends: int) -> int:
        note = self.suspects.notes.note
        return int(await self._patience.until_done(Errand.STOP, lambda: self._in_thread(note, ranges, bug, ends)))
