"""Release parked records periodically: find those that may go, prepare them like other records, commit them.

This runs in the intake's own threads, between its batches, so that a worker has one decoder and one writer. Records
that cause a bug are halved until a single one is found. That record, and those behind it with the same key, stay parked
for this worker's lifetime.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from hub.intake.chore_runs import ChoreNotes, ChoreRuns
from hub.intake.faults.bugs import is_bug
from hub.intake.patience import Patience
from hub.intake.prepare import Preparer
from hub.intake.status import Errand
from hub.model.bug import Bug
from hub.model.errors import ConcurrentUpdateError, PoisonError, RetryableError
from hub.reconcile.parking.releasing import Releasable
from hub.warehouse.batch import Batch

_log = logging.getLogger(__name__)

SWEEP_EVERY_S = 1.0
THOROUGH_EVERY_S = 60.0
SWEEP_SHARE = 20
"""A sweep uses at most 1/20 of the time: if it takes long because many records wait, it runs less often."""


@dataclass(slots=True)
class Release:
    """What releasing needs.

    Fields:
        find: finds parked records that may go. It takes a maximum number, and whether to examine all records or only
            those whose reference arrived. It also asks officers about records that waited too long. Blocks.
        commit: as in ``hub.intake.warehouse_port.Store``.
        most: maximum number of records released in one transaction.
        released: how many records this worker has released.
        aside: topic and key of records that caused a bug: they and those behind them stay parked.
    """

    find: Callable[[int, bool], Sequence[Releasable]]
    commit: Callable[[Batch], object]
    most: int
    released: int = field(default=0)
    aside: set[tuple[str, bytes | None]] = field(default_factory=set)

    def without_aside(self, found: Sequence[Releasable]) -> list[Releasable]:
        """Return the records whose key caused no bug."""
        return [record for record in found if (record.topic, record.key) not in self.aside]


async def release_loop(
    release: Release,
    preparer: Preparer,
    threads: tuple[Callable[..., Awaitable[Batch]], Callable[..., Awaitable[object]]],
    patience: Patience,
    notes: ChoreNotes,
) -> None:
    """Sweep until cancelled; waits for unreachable servers, and leaves to another worker what that one releases.

    Args:
        release: what to find and how to commit.
        preparer: the intake's own.
        threads: functions that run a call in the intake's decode thread and in its commit thread.
        patience: shows that the sweep waits for a server.
        notes: where a bug of the sweep itself is recorded.
    """
    runs, sweep = ChoreRuns("parked records", notes), _Sweep(release, preparer, threads)
    while True:
        began = time.monotonic()
        again_s = await runs.attempt(lambda: _in_peace(sweep, patience))
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
    """Finds records that may go and releases them; ``has_released``: more may be ready."""

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
    """Release records, in halves if a bug appears; a single record that fails is put aside with its key."""
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
            place = f"{record.topic}/{record.partition}/{record.log_offset}"
            _log.error("a bug of the hub: the parked record %s stays parked: %s", place, Bug.of(error))
