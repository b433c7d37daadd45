"""What a batch changes about dossiers: reviews of backward moves, deadlines, and other dossiers to publish again.

Reviews and deadlines follow from the accepted versions of the dossiers that the batch touched, including late ones. A
deadline also depends on the procedure for which the dossier was filed, so filings for interlinked procedures are
examined too.

If two workers write a filing and a progress of one dossier at the same time, they do not see each other's rows.
Therefore progress takes an advisory lock in shared mode, and filings for interlinked procedures take it exclusively, so
the second waits for the first. Progress also waits for stored filings of interlinked procedures that are being changed.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import polars as pl
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Select,
    UpdateBase,
    Uuid,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.model.dossiers.deadline import INTERLINKED_PROCEDURES, PROCEDURE_CHARACTERS
from hub.model.entities import ADMIN_UNIT, DOSSIER
from hub.reconcile.rules.dossiers.agencies import dossiers_carried_on
from hub.reconcile.rules.dossiers.clock import deadlines_dropped, deadlines_reckoned, is_interlinked
from hub.reconcile.rules.dossiers.links import parents_named
from hub.reconcile.rules.dossiers.moves import events_flagged, reviews_closed, reviews_opened, unexplained_moves
from hub.reconcile.rules.dossiers.versions import progress_tables, submission_tables
from hub.reconcile.shared.republish import AuditPlace, republish_keys
from hub.reconcile.shared.step import Merge
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.dossiers import calendar, dossier_deadline
from hub.warehouse.tables.entities import AspectTables

_Statement = TypeVar("_Statement", bound=UpdateBase | Select[Any])


def step(connection: Connection, merge: Merge) -> None:
    """Update reviews and deadlines after what the batch wrote."""
    if merge.tables is progress_tables():
        _after_progress(connection, merge)
    elif merge.tables is submission_tables() and merge.written:
        _after_filing(connection, merge)
    elif merge.tables.entity is ADMIN_UNIT and merge.written:
        _after_units(connection, merge)


def _after_progress(connection: Connection, merge: Merge) -> None:
    frame = merge.accepted.frame
    if merge.written < frame.height or connection.execute(_has_replaced()).scalar_one():
        if connection.execute(_of_batch(reviews_opened)).rowcount:
            _flag_events(connection, frame)
        connection.execute(_of_batch(reviews_closed))
    hold(connection, Lock.DEADLINES, shared=True)
    connection.execute(_interlinked_filings_settled())
    may_be_unshared = merge.written < frame["newest"].sum()
    _reckon(connection, merge.place if may_be_unshared else None, frame["revoked"].any())


def _flag_events(connection: Connection, frame: pl.DataFrame) -> None:
    """Flag the batch's own events that moved backward; they are counted by this flag.

    If a later version shows that an older event moved backward, that event is not flagged; its review is opened.
    """
    names = ("key", "source", "source_epoch", "source_version")
    moved = connection.execute(_of_batch(unexplained_moves)).mappings()
    went_back = {(row["key"].bytes, *(row[name] for name in names[1:])) for row in moved}
    rows = frame.select(*names, "log", "log_offset").iter_rows()
    places = [row[len(names) :] for row in rows if row[: len(names)] in went_back]
    if places:
        parameters = {"logs": [log for log, _ in places], "offsets": [log_offset for _, log_offset in places]}
        connection.execute(events_flagged(), parameters)


def _reckon(connection: Connection, place: AuditPlace | None, may_be_dropped: bool) -> None:
    """Compute the deadlines of the batch's dossiers.

    Share publishes dossiers of which a claim was written. If a late version changed only the deadline, the dossier is
    noted at ``place``.
    """
    if place is None:
        connection.execute(_of_batch(deadlines_reckoned))
    else:
        republish_keys(connection, place, DOSSIER.name, _of_batch_changed())
    if may_be_dropped:
        connection.execute(_of_batch(deadlines_dropped))


def _after_filing(connection: Connection, merge: Merge) -> None:
    """The record of a dossier lists the dossiers that were split from it, so publish the parents again."""
    if merge.accepted.frame["linked_parent_code"].is_not_null().any():
        republish_keys(connection, merge.place, DOSSIER.name, parents_named())
    procedure = merge.accepted.frame["procedure_code"].str.slice(0, PROCEDURE_CHARACTERS)
    if procedure.is_in(INTERLINKED_PROCEDURES).any():
        hold(connection, Lock.DEADLINES)
    elif not connection.execute(_has_interlinked_deadlines()).scalar_one():
        return
    connection.execute(_of_interlinked_filings())


def _after_units(connection: Connection, merge: Merge) -> None:
    """An agency's work may have moved to another agency with its province."""
    prefixes = merge.accepted.frame["agency_code"].drop_nulls().unique().to_list()
    _republish_carried_on(connection, prefixes, merge.place)


def _republish_carried_on(connection: Connection, prefixes: Sequence[str], place: AuditPlace) -> None:
    if prefixes:
        republish_keys(connection, place, DOSSIER.name, dossiers_carried_on(prefixes))


def follow(connection: Connection, tables: AspectTables, place: AuditPlace) -> None:
    """Bring deadlines and agencies in line with records that were decided again: ``tables.merged`` has their keys."""
    if tables.entity is DOSSIER:
        dossiers = select(tables.merged.c.key).distinct().cte("touched_dossiers")
        hold(connection, Lock.DEADLINES)
        connection.execute(deadlines_reckoned(dossiers))
        connection.execute(deadlines_dropped(dossiers))
    elif tables.entity is ADMIN_UNIT:
        claim = tables.claim
        said = select(claim.c.agency_code).join(tables.merged, tables.merged.c.key == claim.c.key).distinct()
        _republish_carried_on(connection, connection.scalars(said.where(claim.c.agency_code.is_not(None))).all(), place)


def reckon_open(connection: Connection, place: AuditPlace, most: int) -> int:
    """Compute, by the calendar in force, some of the open deadlines of an older calendar; return their number.

    Ended dossiers keep the result of their calendar. Holds back batches until the transaction ends.

    Args:
        connection: in a transaction.
        place: where share will find the dossiers.
        most: maximum number at once.
    """
    hold(connection, Lock.DEADLINES)
    key = dossier_deadline.c.key
    found = connection.scalars(select(key).where(is_by_another_calendar()).order_by(key).limit(most)).all()
    if found:
        keys = select(func.unnest(literal(found, ARRAY(Uuid)), type_=Uuid).label("key"))
        connection.execute(deadlines_reckoned(keys.cte("touched_dossiers")))
        republish_keys(connection, place, DOSSIER.name, keys)
    return len(found)


def is_by_another_calendar() -> ColumnElement[bool]:
    """Return whether a deadline belongs to an open dossier and was not computed by the calendar in force."""
    now = select(calendar.c.version).where(calendar.c.in_force).scalar_subquery()
    return and_(dossier_deadline.c.finished_at.is_(None), dossier_deadline.c.calendar_version != now)


def _touched() -> FromClause:
    """The dossiers that this batch has rows of, each once."""
    return select(progress_tables().stage.c.key).distinct().cte("touched_dossiers")


@cache
def _of_batch(build: Callable[[FromClause], _Statement]) -> _Statement:
    return build(_touched())


@cache
def _of_batch_changed() -> Select[tuple[object]]:
    """Compute the deadlines, and select the dossiers whose deadlines changed."""
    changed = deadlines_reckoned(_touched()).returning(dossier_deadline.c.key).cte("changed_deadlines")
    return select(changed.c.key)


@cache
def _has_replaced() -> Select[bool]:
    """Whether the batch replaced a claim: a status can only have moved backward then, or with older versions."""
    return select(exists().where(~progress_tables().merged.c.inserted))


@cache
def _interlinked_filings_settled() -> Select[int]:
    """Wait for whoever is changing a stored filing for an interlinked procedure of the batch's dossiers."""
    filed, staged = submission_tables().claim, progress_tables().stage
    locked = (
        select(filed.c.key)
        .where(filed.c.key.in_(select(staged.c.key)), is_interlinked(filed.c.procedure_code))
        .with_for_update(read=True)
        .cte("locked")
    )
    return select(func.count()).select_from(locked)


@cache
def _has_interlinked_deadlines() -> Select[bool]:
    """Whether a dossier of the batch has a deadline that was computed as an interlinked one."""
    staged = submission_tables().stage
    return select(exists().where(dossier_deadline.c.key == staged.c.key, dossier_deadline.c.interlinked))


@cache
def _of_interlinked_filings() -> Executable:
    """Compute the deadlines of the batch's dossiers that are interlinked, or were."""
    staged = submission_tables().stage
    was = staged.c.key.in_(select(dossier_deadline.c.key).where(dossier_deadline.c.interlinked))
    keys = select(staged.c.key).where(or_(is_interlinked(staged.c.procedure_code), was)).distinct()
    return deadlines_reckoned(keys.cte("touched_dossiers"))
