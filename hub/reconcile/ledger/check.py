"""Check the ledger while it grows: has every consumed record an outcome, and does what was written still exist (I5)?

Each turn counts what is new since the last one, adds it to the running account (``ledger_range``), and checks some old
stretches again: first those in which something was missing, then those checked longest ago. So a turn takes a bounded
time for any number of audit rows, and every stretch is checked again at some time. A problem raises the alert
``unbalanced`` for its log partition and names the problem. The alert closes when the problem no longer exists.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hub.model.alerts import UNBALANCED
from hub.reconcile.ledger.accounts import OFFSETS_PER_STRETCH, Account, Loss, Stretch, read_accounts, shared_out
from hub.reconcile.ledger.counts import AT_ONCE, Pace, losses_beyond, losses_of, outcomes_by_stretch
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.locks import Lock, try_hold
from hub.warehouse.tables.ledger import ledger_range

CHECK_EVERY_S = 5.0
GENTLY = Pace(offsets=5_000, rests=9.0)
"""Checking old stretches takes a tenth of the time, a few milliseconds each, so it never delays the stream."""

_LOOK_FOR_S = 2.5
_MOST_STRETCHES = 1000
_MOST_IN_ALERT = 5


@dataclass(frozen=True, slots=True)
class LedgerTurn:
    """Result of a turn: records counted for the first time, stretches checked, and what was missing in them."""

    counted: int
    looked_at: int
    losses: tuple[Loss, ...]


class LedgerCheck:
    """Runs the turns of one worker; used from one thread at a time."""

    def __init__(self, engine: Engine, look_for_s: float = _LOOK_FOR_S) -> None:
        self._engine = engine
        self._look_for_s = look_for_s

    def turn(self) -> LedgerTurn | None:
        """Count what is new and check some old stretches; None if another worker is doing it now.

        Raises:
            RetryableError: a server is unreachable; the next turn will do.
        """
        with translated_errors("checking the ledger"), self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                if not try_hold(connection, Lock.LEDGER_CHECK):
                    return None
                return self._turn(connection)

    def _turn(self, connection: Connection) -> LedgerTurn:
        accounts = {account.log: account for account in read_accounts(connection)}
        counted, looked_at, losses = _count_what_is_new(connection, accounts)
        again, found = _look_again(connection, accounts, time.monotonic() + self._look_for_s)
        looked_at, losses = looked_at + again, losses + found
        beyond = losses_beyond(connection, accounts.values())
        _tell(connection, accounts, beyond)
        return LedgerTurn(counted, looked_at, tuple(losses + beyond))


def _count_what_is_new(connection: Connection, accounts: dict[int, Account]) -> tuple[int, int, list[Loss]]:
    """Count, and check stretches that do not add up; return rows, stretches checked, what is missing."""
    known = _known(connection)
    counted, looked_at = 0, 0
    losses: list[Loss] = []
    for account in accounts.values():
        end, consumed = known.get(account.log, (account.first_offset, 0))
        if end > account.next_offset or consumed > account.consumed:
            # The running account belongs to another warehouse: a backup was restored, or a replay replaced it.
            connection.execute(delete(ledger_range).where(ledger_range.c.log == account.log))
            end, consumed = account.first_offset, 0
        if end < account.next_offset:
            rows, stretches = _count_new(connection, account, end, account.consumed - consumed)
            counted += rows
            looked_at += len(stretches)
            for stretch in stretches:
                losses += _look(connection, account, _stored(connection, account, stretch))
    return counted, looked_at, losses


def _known(connection: Connection) -> dict[int, tuple[int, int]]:
    """Return how far each log partition was counted, and how many records that is by its stored offsets."""
    rows = connection.execute(
        select(ledger_range.c.log, func.max(ledger_range.c.end_offset), func.sum(ledger_range.c.consumed)).group_by(
            ledger_range.c.log
        )
    )
    return {log: (int(end), int(consumed)) for log, end, consumed in rows}


def _count_new(connection: Connection, account: Account, first: int, consumed: int) -> tuple[int, list[int]]:
    """Add the offsets from ``first`` on to the running account; return their rows, and stretches that do not add up."""
    counts: dict[int, dict[str, int]] = {}
    bounds = {"log": account.log, "first": first, "end": account.next_offset}
    for stretch, outcome, records in connection.execute(outcomes_by_stretch(), bounds):
        counts.setdefault(stretch, {})[outcome] = records
    counted = {stretch: sum(outcomes.values()) for stretch, outcomes in counts.items()}
    wrong = []
    for part in shared_out(account, first, consumed, counted):
        number = part.first // OFFSETS_PER_STRETCH
        _add(connection, part, number, counts.get(number, {}))
        if part.consumed != counted.get(number, 0):
            wrong.append(number)
    return sum(counted.values()), wrong


def _add(connection: Connection, stretch: Stretch, number: int, outcomes: dict[str, int]) -> None:
    """Add to a stretch's row; only the last stretch of a log partition may have one already."""
    before = _stored(connection, stretch.account, number)
    counted = {} if before is None else dict(before.outcomes)
    for outcome, records in outcomes.items():
        counted[outcome] = counted.get(outcome, 0) + records
    values = {
        "end_offset": stretch.end,
        "consumed": stretch.consumed + (0 if before is None else before.consumed),
        "outcomes": counted,
    }
    adding = insert(ledger_range).values(log=stretch.account.log, stretch=number, **values)
    connection.execute(adding.on_conflict_do_update(index_elements=["log", "stretch"], set_=values))


def _stored(connection: Connection, account: Account, number: int) -> Row[Any] | None:
    mine = (ledger_range.c.log == account.log, ledger_range.c.stretch == number)
    return connection.execute(select(ledger_range).where(*mine)).one_or_none()


def _look_again(connection: Connection, accounts: dict[int, Account], until: float) -> tuple[int, list[Loss]]:
    """Check stretches that had a problem, then those checked longest ago, until the time is over."""
    order = ledger_range.c.problem.is_(None), ledger_range.c.checked_at, ledger_range.c.log, ledger_range.c.stretch
    losses: list[Loss] = []
    looked_at = 0
    for row in connection.execute(select(ledger_range).order_by(*order).limit(_MOST_STRETCHES)).all():
        if looked_at and row.problem is None and time.monotonic() > until:
            break
        if row.log in accounts:
            looked_at += 1
            losses += _look(connection, accounts[row.log], row)
    return looked_at, losses


def _look(connection: Connection, account: Account, row: Row[Any] | None) -> list[Loss]:
    if row is None:
        return []
    first = max(account.first_offset, row.stretch * OFFSETS_PER_STRETCH)
    stretch = Stretch(account, first, row.end_offset, row.consumed)
    counts = connection.execute(outcomes_by_stretch(), stretch.bounds)
    outcomes = {outcome: records for _, outcome, records in counts}
    pace = GENTLY if row.problem is None else AT_ONCE
    losses = losses_of(connection, stretch, sum(outcomes.values()), pace)
    connection.execute(
        update(ledger_range)
        .where(ledger_range.c.log == account.log, ledger_range.c.stretch == row.stretch)
        .values(
            outcomes=outcomes, checked_at=func.clock_timestamp(), problem=_words(map(str, losses)) if losses else None
        )
    )
    return losses


def _tell(connection: Connection, accounts: dict[int, Account], beyond: list[Loss]) -> None:
    """Keep the alert open where something is missing, and nowhere else."""
    found: dict[str, list[str]] = {}
    wrong = select(ledger_range.c.log, ledger_range.c.problem).where(ledger_range.c.problem.is_not(None))
    for log, problem in connection.execute(wrong.order_by(ledger_range.c.log, ledger_range.c.stretch)):
        if log in accounts:
            found.setdefault(accounts[log].place, []).append(problem)
    for loss in beyond:
        found.setdefault(f"{loss.topic}/{loss.partition}", []).append(str(loss))
    for place, problems in found.items():
        raise_alert(connection, UNBALANCED, place, _words(problems))
    clear_alert(connection, UNBALANCED, tuple(found))


def _words(said: Iterable[str]) -> str:
    problems = list(said)
    named = "; ".join(problems[:_MOST_IN_ALERT])
    more = len(problems) - _MOST_IN_ALERT
    return f"{named}; and {more} more" if more > 0 else named
