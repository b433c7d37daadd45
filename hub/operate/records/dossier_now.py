"""What a dossier's screen shows besides its claims: its deadline as of now, who handles it today, linked dossiers.

How late an open dossier is changes every second. So it is computed on demand, with the
calendar from which its deadline was computed.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Uuid, and_, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import masked
from hub.reconcile.rules.dossiers.links import linked_dossiers
from hub.reconcile.rules.dossiers.versions import progress_tables, submission_tables
from hub.share.dossier_fields import agencies_now, handling_agency
from hub.warehouse.tables.core import source, utc_time
from hub.warehouse.tables.dossiers import calendar, dossier_deadline
from hub.warehouse.tables.entities import AspectTables
from hub.warehouse.working_time import placed, with_days

Row = Mapping[str, Any]

DEADLINE, HANDLING, LINKED = "deadline", "handling agency", "linked dossiers"
_AT = bindparam("at", type_=utc_time)


def dossier_rows(connection: Connection, keys: Collection[UUID], at: datetime) -> dict[str, tuple[Row, ...]]:
    """Return the rows by title; titles without rows are left out.

    Args:
        connection: of the warehouse.
        keys: every key of one dossier.
        at: the moment to compare open deadlines with.
    """
    found = {
        DEADLINE: tuple(_deadlines(connection, keys, at)),
        HANDLING: tuple(_handling(connection, keys)),
        LINKED: tuple(_linked(connection, keys)),
    }
    return {title: rows for title, rows in found.items() if rows}


def masked_dossier_row(row: Row) -> Row:
    """Return a row of ``dossier_rows`` with the reasons of extensions masked, as the schema's data class asks."""
    extensions = row.get("extensions")
    if not isinstance(extensions, dict) or not extensions.get("stated"):
        return row
    schema = load_catalogue().latest(progress_tables().aspect.subject).schema
    stated = masked({"due_history": extensions["stated"]}, schema)["due_history"]
    return {**row, "extensions": extensions | {"stated": stated}}


def _deadlines(connection: Connection, keys: Collection[UUID], at: datetime) -> Iterator[Row]:
    for row in connection.execute(deadlines_at(), {"keys": list(keys), "at": at}).mappings():
        deadline = dict(row)
        yield {"state": state_of(deadline), **deadline}


def state_of(row: Mapping[str, Any]) -> str:
    """Return the state of a deadline in one to three words."""
    if row["finished_at"] is not None:
        return {True: "finished on time", False: "finished late", None: "finished"}[row["on_time"]]
    if row["due_at"] is None:
        return "no due time"
    if row["overdue_seconds"]:
        return "overdue"
    return "clock stands still" if row["paused_since"] is not None else "in time"


@cache
def deadlines_at() -> Select[Any]:
    """Select the deadlines of ``:keys`` as of ``:at``: for open ones how late they are, or how much time is left.

    A clock that was paused before the due time has not moved since; a pause after the due time changes nothing.
    """
    deadline = dossier_deadline
    by = calendar.alias("by")
    rows = deadline.join(by, by.c.version == deadline.c.calendar_version)
    due, stopped = placed(deadline.c.due_at, "due_day", by), placed(deadline.c.paused_since, "stopped_day", by)
    present = placed(_AT, "present_day", by)
    stands = func.coalesce(and_(stopped.place <= due.place, stopped.place <= present.place), False)
    reached = case((stands, stopped.place), else_=present.place)
    is_open = and_(deadline.c.finished_at.is_(None), deadline.c.due_at.is_not(None))
    overdue: ColumnElement[Any] = case(
        (is_open, func.greatest(0, reached - due.place)), else_=deadline.c.overdue_seconds
    )
    left = case((is_open, func.greatest(0, due.place - reached)))
    told_otherwise = {"source", "interlinked", "overdue_seconds"}
    kept = [column for column in deadline.columns if column.name not in told_otherwise]
    columns: list[ColumnElement[Any]] = [*kept, overdue.label("overdue_seconds"), left.label("seconds_left")]
    return (
        select(*columns, source.c.code.label("said_by"))
        .select_from(with_days(rows, due, stopped, present).join(source, source.c.id == deadline.c.source))
        .where(deadline.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid))))
        .order_by(deadline.c.key)
    )


def _handling(connection: Connection, keys: Collection[UUID]) -> Iterator[Row]:
    """Yield the agency that was named, and the agency that continues its work today."""
    record: dict[str, dict[str, Any]] = {}
    for aspect, tables, names in (
        ("progress", progress_tables(), ("processing_agency",)),
        ("submission", submission_tables(), ("deciding_agency", "receiving_agency")),
    ):
        for row in connection.execute(_held(tables, names), {"keys": list(keys)}).mappings():
            record.setdefault(aspect, dict(row))
    agency = handling_agency(record)
    if agency is not None:
        yield {"said": agency, "today": agencies_now(connection, {agency})[agency]}


@cache
def _held(tables: AspectTables, names: tuple[str, ...]) -> Select[Any]:
    claim, record = tables.claim, tables.record
    columns: list[ColumnElement[Any]] = [claim.c[name] for name in names]
    return (
        select(*columns)
        .join_from(record, claim, and_(claim.c.key == record.c.key, claim.c.source == record.c.source))
        .where(record.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid))))
        .order_by(claim.c.occurred_at.desc(), claim.c.key)
    )


def _linked(connection: Connection, keys: Collection[UUID]) -> Iterator[Row]:
    seen: set[tuple[str, UUID]] = set()
    for row in connection.execute(linked_dossiers(), {"keys": list(keys)}).mappings():
        if (row["relation"], row["key"]) not in seen:
            seen.add((row["relation"], row["key"]))
            yield {name: value for name, value in row.items() if name != "asked"}
