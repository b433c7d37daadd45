"""Now and then let parked records go: look for those that may, prepare them like any others, commit them.

Works in the intake's own threads, between its batches, so that a worker has one decoder and one writer. Records at
which a bug shows are halved until it is one: that one, and what stands behind it, stays parked while this worker lives.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from hub.intake.bugs import is_bug
from hub.intake.patience import Patience
from hub.intake.prepare import Preparer
from hub.intake.status import Errand
from hub.intake.turns import ChoreNotes, Turns
from hub.model.bug import Bug
from hub.model.errors import ConcurrentUpdateError, PoisonError, RetryableError
from hub.reconcile.parking.releasing import Releasable
from hub.warehouse.batch import Batch

_log = logging.getLogger(__name__)

SWEEP_EVERY_S = 1.0
THOROUGH_EVERY_S = 60.0
SWEEP_SHARE = 20
"""A sweep takes at most one part in so many of the time: it looks less often where very many things are waited for."""


@dataclass(slots=True)
class Release:
    """What releasing needs.

    Fields:
        find: parked records that may go: at most so many, looking at all of them or only where something has arrived;
            asks officers about those that have waited too long. Blocks.
        commit: as ``hub.intake.intake.Store`` has it.
        most: records released in one transaction.
        released: how many this worker has released.
        aside: topic and key of records at which a bug shows: they and those behind them stay parked.
    """

    find: Callable[[int, bool], Sequence[Releasable]]
    commit: Callable[[Batch], object]
    most: int
    released: int = field(default=0)
    aside: set[tuple[str, bytes | None]] = field(default_factory=set)

    def without_aside(self, found: Sequence[Releasable]) -> list[Releasable]:
        """Return the records at whose key no bug showed."""
        return [record for record in found if (record.topic, record.key) not in self.aside]


async def release_loop(
    release: Release,
    preparer: Preparer,
    threads: tuple[Callable[..., Awaitable[Batch]], Callable[..., Awaitable[object]]],
    patience: Patience,
    notes: ChoreNotes,
) -> None:
    """Sweep for ever; an environment that is away is waited for, another worker's release is left to it.

    Args:
        release: what to find and how to commit.
        preparer: the intake's own.
        threads: run a call in the intake's decode thread, and in its commit thread.
        patience: is told while the sweep waits for its environment.
        notes: where a bug of the sweep itself is noted.
    """
    turns, sweep = Turns("parked records", notes), _Sweep(release, preparer, threads)
    while True:
        began = time.monotonic()
        again_s = await turns.take(lambda: _in_peace(sweep, patience))
        if again_s is None and sweep.has_released:
            continue
        await asyncio.sleep(again_s or max(SWEEP_EVERY_S, SWEEP_SHARE * (time.monotonic() - began)))


async def _in_peace(sweep: "_Sweep", patience: Patience) -> None:
    sweep.has_released = False
    try:
        await sweep.once()
    except RetryableError as error:
        patience.waits(Errand.RELEASE, str(error))
    except ConcurrentUpdateError as error:
        _log.info("parked records are left to another worker: %s", error)
    else:
        patience.goes_on(Errand.RELEASE)


@dataclass(slots=True)
class _Sweep:
    """Looks for what may go and lets it go; ``has_released``: there may be more."""

    release: Release
    preparer: Preparer
    threads: tuple[Callable[..., Awaitable[Batch]], Callable[..., Awaitable[object]]]
    thorough_at: float = 0.0
    has_released: bool = False

    async def once(self) -> None:
        decoding, committing = self.threads
        thorough = time.monotonic() >= self.thorough_at
        found = await committing(self.release.find, self.release.most, thorough)
        if thorough:
            self.thorough_at = time.monotonic() + THOROUGH_EVERY_S
        if isinstance(found, list) and (records := self.release.without_aside(found)):
            preparing = self.preparer.prepare_released
            await _let_go(self.release, records, lambda part: decoding(preparing, part), committing)
            self.thorough_at, self.has_released = 0.0, True


async def _let_go(
    release: Release,
    records: list[Releasable],
    preparing: Callable[[list[Releasable]], Awaitable[Batch]],
    committing: Callable[..., Awaitable[object]],
) -> None:
    """Release records, in halves where a bug shows; one that fails alone is put aside with its key."""
    pieces = [records]
    while pieces:
        piece = release.without_aside(pieces.pop())
        if not piece:
            continue
        try:
            await committing(release.commit, await preparing(piece))
            release.released += len(piece)
        except BaseException as error:
            if not (is_bug(error) or isinstance(error, PoisonError)):
                raise
            if len(piece) > 1:
                pieces += [piece[len(piece) // 2 :], piece[: len(piece) // 2]]
                continue
            record = piece[0]
            release.aside.add((record.topic, record.key))
            place = f"{record.topic}/{record.partition}@{record.log_offset}"
            _log.error("a bug of the hub: the parked record %s stays parked: %s", place, Bug.of(error))
