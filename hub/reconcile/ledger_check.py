"""Check the ledger while it grows: is every consumed record accounted for, and is what was written still there (I5)?

Each turn counts what is new since the last one, adds it to the running account (``ledger_range``), and looks again at
some stretches of old: those in which something was missing, then those that were looked at longest ago. So a turn
takes a bounded time however many audit rows there are, and every stretch is looked at again some time. What is found
raises the alert ``unbalanced`` for its log partition, naming it; the alert closes when it is found no more.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hub.model.alerts import UNBALANCED
from hub.reconcile.ledger_counts import (
    OFFSETS_PER_STRETCH,
    Account,
    Loss,
    Stretch,
    losses_beyond,
    losses_of,
    outcomes_by_stretch,
    read_accounts,
    shared_out,
)
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.ledger_tables import ledger_range

_log = logging.getLogger(__name__)

CHECK_EVERY_S = 5.0
SECOND_LOOK_S = 0.25
"""How long a turn goes on looking at stretches of old; it looks at one at least."""

_LOCK = 0x4855_4231
_MOST_IN_ALERT = 5


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What a turn saw: records counted for the first time, stretches looked at again, and what is missing."""

    counted: int
    looked_at: int
    losses: tuple[Loss, ...]


def check_ledger(engine: Engine, look_s: float = SECOND_LOOK_S) -> LedgerCheck | None:
    """Do one turn of the check; None when another worker does it now.

    Raises:
        RetryableError: the environment; the next turn will do.
    """
    with translated_errors("checking the ledger"), engine.connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            if not connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
                return None
            return _turn(connection, look_s)


def _turn(connection: Connection, look_s: float) -> LedgerCheck:
    accounts = {account.log: account for account in read_accounts(connection)}
    known = _known(connection)
    counted = 0
    for account in accounts.values():
        end, consumed = known.get(account.log, (account.first_offset, 0))
        if end > account.next_offset or consumed > account.consumed:
            # The running account is of another warehouse than this one: a backup or a replay took its place.
            connection.execute(delete(ledger_range).where(ledger_range.c.log == account.log))
            end, consumed = account.first_offset, 0
        if end < account.next_offset:
            counted += _count_new(connection, account, end, account.consumed - consumed)
    looked_at, losses = _look_again(connection, accounts, time.monotonic() + look_s)
    for account in accounts.values():
        losses += losses_beyond(connection, account)
    _tell(connection, accounts, losses)
    return LedgerCheck(counted, looked_at, tuple(losses))


def _known(connection: Connection) -> dict[int, tuple[int, int]]:
    """Return how far each log partition was counted, and how many records that is by its own account."""
    rows = connection.execute(
        select(ledger_range.c.log, func.max(ledger_range.c.end_offset), func.sum(ledger_range.c.consumed)).group_by(
            ledger_range.c.log
        )
    )
    return {log: (int(end), int(consumed)) for log, end, consumed in rows}


def _count_new(connection: Connection, account: Account, first: int, consumed: int) -> int:
    """Add the offsets from ``first`` on to the running account; return how many audit rows they have."""
    counts: dict[int, dict[str, int]] = {}
    bounds = {"log": account.log, "first": first, "end": account.next_offset}
    for stretch, outcome, records in connection.execute(outcomes_by_stretch(), bounds):
        counts.setdefault(stretch, {})[outcome] = records
    counted = {stretch: sum(outcomes.values()) for stretch, outcomes in counts.items()}
    for part in shared_out(account, first, consumed, counted):
        _add(connection, part, counts.get(part.number, {}))
    return sum(counted.values())


def _add(connection: Connection, of: Stretch, outcomes: dict[str, int]) -> None:
    """Add to a stretch's row, which only the last one of a log partition may have already."""
    mine = (ledger_range.c.log == of.account.log, ledger_range.c.stretch == of.number)
    before = connection.execute(select(ledger_range.c.consumed, ledger_range.c.outcomes).where(*mine)).one_or_none()
    counted = {} if before is None else dict(before.outcomes)
    for outcome, records in outcomes.items():
        counted[outcome] = counted.get(outcome, 0) + records
    values = {
        "end_offset": of.end,
        "consumed": of.consumed + (0 if before is None else before.consumed),
        "outcomes": counted,
    }
    adding = insert(ledger_range).values(log=of.account.log, stretch=of.number, **values)
    connection.execute(adding.on_conflict_do_update(index_elements=["log", "stretch"], set_=values))


def _look_again(connection: Connection, accounts: dict[int, Account], until: float) -> tuple[int, list[Loss]]:
    """Look at stretches that had a problem, then at those looked at longest ago, until the time is over."""
    losses: list[Loss] = []
    looked_at = 0
    for row in _by_urgency(connection):
        if row.log not in accounts:
            continue
        if looked_at and row.problem is None and time.monotonic() > until:
            break
        looked_at += 1
        losses += _look(connection, accounts[row.log], row)
    return looked_at, losses


def _by_urgency(connection: Connection) -> Iterable[Row[Any]]:
    first = ledger_range.c.problem.is_(None), ledger_range.c.checked_at, ledger_range.c.log, ledger_range.c.stretch
    return connection.execute(select(ledger_range).order_by(*first).limit(_MOST_STRETCHES)).all()


_MOST_STRETCHES = 1000


def _look(connection: Connection, account: Account, row: Row[Any]) -> list[Loss]:
    first = max(account.first_offset, row.stretch * OFFSETS_PER_STRETCH)
    stretch = Stretch(account, first, row.end_offset, row.consumed)
    outcomes = {outcome: records for _, outcome, records in connection.execute(outcomes_by_stretch(), stretch.bounds)}
    losses = losses_of(connection, stretch, sum(outcomes.values()))
    connection.execute(
        update(ledger_range)
        .where(ledger_range.c.log == account.log, ledger_range.c.stretch == row.stretch)
        .values(
            outcomes=outcomes,
            checked_at=func.clock_timestamp(),
            problem=_words(losses) if losses else None,
        )
    )
    return losses


def _tell(connection: Connection, accounts: dict[int, Account], losses: list[Loss]) -> None:
    """Raise the alert where something is missing now, close it where nothing is."""
    by_place: dict[str, list[Loss]] = {}
    for loss in losses:
        by_place.setdefault(f"{loss.topic}/{loss.partition}", []).append(loss)
    for place, of_place in by_place.items():
        if raise_alert(connection, UNBALANCED, place, _words(of_place)):
            _log.error("unbalanced: %s", _words(of_place))
    for place in clear_alert(connection, UNBALANCED, tuple(by_place)):
        _log.info("balanced again: %s", place)


def _words(losses: list[Loss]) -> str:
    named = "; ".join(str(loss) for loss in losses[:_MOST_IN_ALERT])
    more = len(losses) - _MOST_IN_ALERT
    return f"{named}; and {more} more" if more > 0 else named
