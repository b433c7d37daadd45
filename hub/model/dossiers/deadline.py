"""The deadline of a dossier, computed in working time from what the source that holds its progress has said.

The rules, in the order in which they apply:

- The clock starts when the dossier was received. For the interlinked procedures, a dossier received at 15:00 or later
  counts from the next day.
- The clock is paused while the applicant must send a supplement or a payment. It stops when handling has ended.
- The due time is the one that the source stated last, plus the pauses since then. A newly stated due time already
  includes the pauses before it, and a pause that begins after the due time does not move it.
- An interlinked procedure without a stated due time is due after three working days.
- A dossier is on time if no working time passed between its due time and its end.

All of this is a pure function of the source's accepted versions and a calendar, so the order in which the versions came
does not matter (I4). The warehouse computes the same for many dossiers at once (hub.reconcile.rules.dossiers.clock).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, zip_longest

from hub.model.dossiers.status import ENDED, PAUSED, Status, Version
from hub.model.dossiers.working_time import Calendar, due_after, working_seconds

INTERLINKED_PROCEDURES = ("2.002621", "2.002622")
"""Birth with residence and health card, death with residence and funeral allowance (Decree 63/2024/ND-CP)."""

PROCEDURE_CHARACTERS = 8
"""Procedure codes are compared by this many characters; the rest is an agency's own."""

LATEST_FILING_S = 15 * 3600
"""Local second of the day from which an interlinked dossier counts from the next day."""

INTERLINKED_DUE_S = 3 * 8 * 3600
"""Working time for an interlinked procedure: three days of eight hours."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A due time that a version stated, and the one that it replaced."""

    old: datetime
    new: datetime
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The deadline of one dossier; a time is null if the source said nothing that determines it.

    Fields:
        started_at: when the clock started.
        stated_due_at: the due time that the source stated last.
        due_at: the due time with pauses added; it moves while the clock is paused.
        finished_at: when handling ended; None while the dossier is open.
        paused_since: since when the clock is paused; None if it runs or the dossier has ended.
        paused_seconds: working time of the pauses that are over.
        used_seconds: working time from start to end without pauses; None while open.
        on_time, overdue_seconds: None while open, or without a due time.
    """

    calendar_version: str
    received_at: datetime | None
    started_at: datetime | None
    stated_due_at: datetime | None
    due_at: datetime | None
    finished_at: datetime | None
    paused_since: datetime | None
    paused_seconds: int
    used_seconds: int | None
    on_time: bool | None
    overdue_seconds: int | None
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """A version and the time at which it counts: a source's clock may step back, its order does not."""

    version: Version
    at: datetime


@dataclass(frozen=True, slots=True)
class _Pause:
    start: datetime
    end: datetime | None


def is_interlinked(procedure_code: str | None) -> bool:
    """Tell whether a procedure is an interlinked one."""
    return (procedure_code or "")[:PROCEDURE_CHARACTERS] in INTERLINKED_PROCEDURES


def deadline(versions: Iterable[Version], calendar: Calendar, interlinked: bool) -> Deadline | None:
    """Return the deadline from what one source has said; None if it has said nothing, or has withdrawn it."""
    told = _since_last_revoke(versions)
    if not told:
        return None
    received = _last([each.version.received_at for each in told])
    late = received and interlinked and calendar.second_of_day(received) >= LATEST_FILING_S
    started = calendar.next_midnight(received) if received and late else received
    known = [each for each in told if each.version.status is not Status.UNKNOWN]
    finished = _finished(told, known)
    pauses = _pauses(known)
    over = [pause for pause in pauses if pause.end is not None]
    extensions, stated, stated_at = _stated(told)
    due = stated
    if stated and stated_at:
        due = due_after(calendar, stated, _credit(over, calendar, stated_at, calendar.place(stated)))
    elif started and interlinked:
        place = calendar.place(started) + INTERLINKED_DUE_S
        due = due_after(calendar, started, INTERLINKED_DUE_S + _credit(over, calendar, started, place))
    paused = sum(_length(pause, calendar, started) for pause in over)
    used = max(0, working_seconds(calendar, started, finished) - paused) if finished and started else None
    overdue = working_seconds(calendar, due, finished) if finished and due else None
    return Deadline(
        calendar.version,
        received,
        started,
        stated,
        due,
        finished,
        next((pause.start for pause in pauses if pause.end is None), None),
        paused,
        used,
        None if overdue is None else overdue == 0,
        overdue,
        extensions,
    )


def _since_last_revoke(versions: Iterable[Version]) -> list[_Told]:
    told: list[Version] = []
    for version in sorted(versions, key=lambda each: each.order):
        told = [] if version.is_revoked else [*told, version]
    times = accumulate((version.occurred_at for version in told), max)
    return [_Told(version, at) for version, at in zip(told, times, strict=True)]


def _last(times: Sequence[datetime | None]) -> datetime | None:
    return next((time for time in reversed(times) if time is not None), None)


def _finished(told: Sequence[_Told], known: Sequence[_Told]) -> datetime | None:
    """Return when handling ended: the time that the source gives, or the time at which it first reported the end."""
    if not known or known[-1].version.status not in ENDED:
        return None
    still_open = [each.version.order for each in known if each.version.status not in ENDED]
    since = [each for each in told if not still_open or each.version.order > still_open[-1]]
    first = next(each.at for each in since if each.version.status in ENDED)
    return _last([each.version.finished_at or each.version.rejected_at for each in since]) or first


def _pauses(known: Sequence[_Told]) -> list[_Pause]:
    pairs = zip_longest(known, known[1:])
    return [
        _Pause(one.at, following.at if following else None) for one, following in pairs if one.version.status in PAUSED
    ]


def _stated(told: Sequence[_Told]) -> tuple[tuple[Extension, ...], datetime | None, datetime | None]:
    """Return the due times that replaced others, the last one, and when it was stated."""
    extensions: list[Extension] = []
    due = due_at = None
    for each in told:
        new = each.version.due_at
        if new is None or new == due:
            continue
        if due is not None:
            extensions.append(Extension(due, new, each.version.order))
        due, due_at = new, each.at
    return tuple(extensions), due, due_at


def _length(pause: _Pause, calendar: Calendar, since: datetime | None) -> int:
    """Return the working time of a pause that is over, without the part before ``since``."""
    if pause.end is None:
        return 0
    return working_seconds(calendar, max(pause.start, since) if since else pause.start, pause.end)


def _credit(pauses: Sequence[_Pause], calendar: Calendar, since: datetime, due: int) -> int:
    """Return the working time by which pauses move a due time, which is given as a place on the calendar."""
    credit = 0
    for pause in pauses:
        if calendar.place(max(pause.start, since)) - credit <= due:
            credit += _length(pause, calendar, since)
    return credit
