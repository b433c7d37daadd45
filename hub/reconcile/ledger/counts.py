"""Count and search a stretch of a log partition: its audit rows, and what must exist according to them (I5).

Each function builds one statement, named after what it finds. A stretch is ``OFFSETS_PER_STRETCH`` offsets of one log
partition. That is small enough to find its rows by index, however large the tables are.
"""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    select,
    tuple_,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.model.entities import SUBJECTS
from hub.model.outcomes import Outcome
from hub.reconcile.ledger.accounts import OFFSETS_PER_STRETCH, Account, Loss, Stretch
from hub.reconcile.shared.identity import same_identity
from hub.topology import subject_of
from hub.warehouse.tables.core import audit, dead_letter, parked, release
from hub.warehouse.tables.entities import AspectTables, aspect_tables
from hub.warehouse.tables.replays import replay_left, replay_withdrawn

MOST_NAMED = 20
"""Maximum number of losses of one kind that are named for a stretch."""

_WRITTEN = (Outcome.APPLIED.value, Outcome.SUPERSEDED.value)
_LOG, _FIRST, _END = (bindparam(name, type_=BigInteger) for name in ("log", "first", "end"))


@cache
def outcomes_by_stretch(size: int = OFFSETS_PER_STRETCH) -> Select[int, str, int]:
    """Count the audit rows of ``:log`` from ``:first`` to before ``:end``, by stretch of ``size`` and outcome."""
    stretch = (audit.c.log_offset.op("/", return_type=BigInteger())(size)).label("stretch")
    return select(stretch, audit.c.outcome, func.count()).where(_inside()).group_by(stretch, audit.c.outcome)


def _inside() -> ColumnElement[bool]:
    return and_(audit.c.log == _LOG, audit.c.log_offset >= _FIRST, audit.c.log_offset < _END)


@cache
def offsets_without_row() -> Select[int, int]:
    """Select (first, last) of the ranges of offsets in a stretch that have no audit row."""
    before = func.lag(audit.c.log_offset, 1, _FIRST - 1).over(order_by=audit.c.log_offset)
    each = select(audit.c.log_offset, before.label("before")).where(_inside()).subquery()
    between = select((each.c.before + 1).label("first"), (each.c.log_offset - 1).label("last")).where(
        each.c.log_offset > each.c.before + 1
    )
    newest = func.coalesce(func.max(audit.c.log_offset), _FIRST - 1)
    after = (
        select((newest + 1).label("first"), (cast(_END, BigInteger) - 1).label("last"))
        .where(_inside())
        .having(newest < _END - 1)
    )
    runs = union_all(between, after).subquery()
    return select(runs.c.first, runs.c.last).order_by(runs.c.first)


@cache
def rows_beyond() -> Select[int, int]:
    """Select (log, offset) of audit rows at or after ``:ends`` of ``:logs``, whose records were not consumed."""
    account = (
        func.unnest(bindparam("logs", type_=ARRAY(BigInteger)), bindparam("ends", type_=ARRAY(BigInteger)))
        .table_valued(column("log", BigInteger), column("end_offset", BigInteger))
        .render_derived(name="account")
    )
    beyond = (
        select(audit.c.log_offset)
        .where(audit.c.log == account.c.log, audit.c.log_offset >= account.c.end_offset)
        .order_by(audit.c.log_offset)
        .limit(MOST_NAMED)
        .lateral("beyond")
    )
    return select(account.c.log, beyond.c.log_offset).order_by(account.c.log, beyond.c.log_offset)


@cache
def parked_nowhere() -> Select[int]:
    """Select parked records of a stretch that neither wait nor were released nor were handled by a replay."""
    waits = exists().where(parked.c.log == audit.c.log, parked.c.log_offset == audit.c.log_offset)
    became = exists().where(release.c.log == audit.c.log, release.c.log_offset == audit.c.log_offset)
    left = exists().where(replay_left.c.log == audit.c.log, replay_left.c.log_offset == audit.c.log_offset)
    is_parked = audit.c.outcome == Outcome.PARKED.value
    return _named(select(audit.c.log_offset).where(_inside(), is_parked, ~waits, ~became, ~left))


@cache
def dead_without_letter() -> Select[int]:
    """Select dead-lettered records of a stretch whose bytes were not kept."""
    kept = exists().where(dead_letter.c.log == audit.c.log, dead_letter.c.log_offset == audit.c.log_offset)
    return _named(select(audit.c.log_offset).where(_inside(), audit.c.outcome == Outcome.DEAD_LETTERED.value, ~kept))


def _named(offsets: Select[int]) -> Select[int]:
    return offsets.order_by(audit.c.log_offset).limit(MOST_NAMED)


def _written() -> Subquery:
    """Records of a stretch whose outcome says that a claim was written, including those released later."""
    columns = ("log_offset", "key", "source", "source_epoch", "source_version")
    read = select(*(audit.c[name] for name in columns)).where(_inside(), audit.c.outcome.in_(_WRITTEN))
    became = select(*(release.c[name] for name in columns)).where(
        release.c.log == _LOG,
        release.c.log_offset >= _FIRST,
        release.c.log_offset < _END,
        release.c.outcome.in_(_WRITTEN),
    )
    return union_all(read, became).subquery("written")


@cache
def written_without_claim(tables: AspectTables) -> Select[int]:
    """Select records that were written, but whose key and source have no claim at least as new.

    Records that a replay removed, as its plan announced, are not counted.
    """
    claim, written = tables.claim, _written()
    there = exists().where(
        claim.c.key == written.c.key,
        claim.c.source == written.c.source,
        tuple_(claim.c.source_epoch, claim.c.source_version)
        >= tuple_(written.c.source_epoch, written.c.source_version),
    )
    gone = replay_withdrawn
    withdrawn = exists().where(
        gone.c.subject == tables.aspect.subject,
        gone.c.key == written.c.key,
        gone.c.source == written.c.source,
        tuple_(gone.c.source_epoch, gone.c.source_version) >= tuple_(written.c.source_epoch, written.c.source_version),
    )
    return select(written.c.log_offset).where(~there, ~withdrawn).order_by(written.c.log_offset).limit(MOST_NAMED)


@cache
def written_without_record(tables: AspectTables) -> Select[int]:
    """Select records that were written, but whose claim has no record, or whose record is held by no claim."""
    claim, record, written = tables.claim, tables.record, _written()
    lacks_record = (
        select(written.c.log_offset)
        .join(claim, and_(claim.c.key == written.c.key, claim.c.source == written.c.source))
        .outerjoin(record, same_identity(tables, record, claim))
        .where(record.c.key.is_(None))
    )
    holder = and_(same_identity(tables, claim, record), claim.c.source == record.c.source)
    lacks_holder = (
        select(written.c.log_offset)
        .join(record, and_(record.c.key == written.c.key, record.c.source.is_not(None)))
        .outerjoin(claim, holder)
        .where(claim.c.key.is_(None))
    )
    found = union(lacks_record, lacks_holder).subquery("found")
    return select(found.c.log_offset).order_by(found.c.log_offset).limit(MOST_NAMED)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to search: how many offsets per query, and how long to rest as a multiple of the query's time."""

    offsets: int
    rests: float

    def ask(self, connection: Connection, question: Select[int], stretch: Stretch) -> list[int]:
        """Return the offsets of a stretch that a query finds."""
        found: list[int] = []
        for part in stretch.cut(self.offsets):
            began = time.monotonic()
            found += connection.execute(question, part.bounds).scalars()
            time.sleep(self.rests * (time.monotonic() - began))
        return found[:MOST_NAMED]


AT_ONCE = Pace(sys.maxsize, 0.0)


def losses_of(connection: Connection, stretch: Stretch, counted: int, pace: Pace = AT_ONCE) -> list[Loss]:
    """Return what is missing in a stretch, in words and by coordinates.

    Args:
        connection: one snapshot, in which the account was read and its rows counted.
        stretch: the stretch.
        counted: its number of audit rows.
        pace: how fast to search.
    """
    account = stretch.account
    lost: list[Loss] = []
    if counted != stretch.consumed:
        lost += _uncounted(connection, stretch, counted)
    for what, search in _searches(account):
        offsets = pace.ask(connection, search, stretch)
        lost += [Loss(what, account.topic, account.partition, offset, offset) for offset in offsets]
    return lost


def _searches(account: Account) -> list[tuple[str, Select[Any]]]:
    searches: list[tuple[str, Select[Any]]] = [
        ("parked, and neither waiting nor released", parked_nowhere()),
        ("dead-lettered, and its bytes are not kept", dead_without_letter()),
    ]
    subject = subject_of(account.topic)
    if subject in SUBJECTS:
        tables = aspect_tables(subject)
        searches += [
            ("no claim of an event that was written", written_without_claim(tables)),
            ("no record of an event that was written", written_without_record(tables)),
        ]
    return searches


def _uncounted(connection: Connection, stretch: Stretch, counted: int) -> list[Loss]:
    account, missing = stretch.account, stretch.consumed - counted
    if missing < 0:
        what = f"{-missing} audit rows too many"
        return [Loss(what, account.topic, account.partition, stretch.first, stretch.end - 1)]
    runs = [(row.first, row.last) for row in connection.execute(offsets_without_row(), stretch.bounds)]
    holes = sum(last - first + 1 for first, last in runs)
    what = "no audit row"
    if holes > missing:
        what = f"no audit row ({missing} of {holes} offsets that have none; the others may hold no record)"
    return [Loss(what, account.topic, account.partition, first, last) for first, last in runs[:MOST_NAMED]]


def losses_beyond(connection: Connection, accounts: Iterable[Account]) -> list[Loss]:
    """Return audit rows of records that were not consumed according to the stored offsets; one statement for all."""
    what = "an audit row of a record that was not consumed"
    by_log = {account.log: account for account in accounts}
    ends = {"logs": list(by_log), "ends": [account.next_offset for account in by_log.values()]}
    return [
        Loss(what, by_log[log].topic, by_log[log].partition, offset, offset)
        for log, offset in connection.execute(rows_beyond(), ends)
    ]
