"""Working time in SQL: ``hub.model.dossiers.working_time`` over the calendar's table, for many rows at once.

Joining a moment's day gives the moment's place on the calendar; the difference between two places is the working time
between them. A statement that uses these functions also selects from ``in_force()``.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Date,
    FromClause,
    Integer,
    Join,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    select,
    update,
)

from hub.model.dossiers.working_time import Calendar
from hub.model.errors import ConfigError
from hub.warehouse.copy import copy_rows
from hub.warehouse.tables.core import utc_time
from hub.warehouse.tables.dossiers import calendar, calendar_day

_DAY_S = 86_400
_EPOCH_DAY = literal(date(1970, 1, 1), Date)


def ensure_calendar(connection: Connection, days: Calendar) -> bool:
    """Put a calendar in force, and store it if it is new; return whether anything changed.

    Deadlines computed by another calendar keep its version until their dossier changes or they are computed again
    (hub.reconcile.rules.dossiers.steps).

    Raises:
        ConfigError: the same version is stored with different content.
    """
    digest = _digest(days)
    found = connection.execute(select(calendar.c.digest, calendar.c.in_force).where(calendar.c.version == days.version))
    row = found.one_or_none()
    if row is not None and row.digest != digest:
        raise ConfigError([f"calendar {days.version} is stored with other content; a changed one needs a new version"])
    if row is not None and row.in_force:
        return False
    connection.execute(update(calendar).values(in_force=False).where(calendar.c.in_force))
    if row is None:
        _store(connection, days, digest)
    else:
        connection.execute(update(calendar).values(in_force=True).where(calendar.c.version == days.version))
    return True


def _store(connection: Connection, days: Calendar, digest: str) -> None:
    connection.execute(
        insert(calendar).values(
            version=days.version,
            digest=digest,
            utc_offset_s=days.utc_offset_s,
            first_day=days.first_day,
            last_day=days.last_day,
            total_seconds=days.total_seconds,
            in_force=True,
        )
    )
    rows = [
        (days.version, day, before, hours.seconds, hours.opens, hours.rests, hours.resumes, hours.closes)
        for day, before, hours in days.each_day()
    ]
    whole = pl.Int32
    schema = {"version": pl.String, "day": pl.Date, "seconds_before": pl.Int64, "seconds": whole}
    schema |= {name: whole for name in ("opens", "rests", "resumes", "closes")}
    copy_rows(connection, calendar_day, pl.DataFrame(rows, schema=schema, orient="row"))


def _digest(days: Calendar) -> str:
    content = repr((days.utc_offset_s, days.first_day, days.days))
    return hashlib.sha256(content.encode()).hexdigest()


def in_force() -> FromClause:
    """Return the calendar in force, as a table of one row."""
    return select(calendar).where(calendar.c.in_force).limit(1).cte("in_force")


@dataclass(frozen=True, slots=True)
class Placed:
    """A moment's place: the day to join, and the working seconds until the moment; null if the moment is null."""

    day: FromClause
    on: ColumnElement[bool]
    place: ColumnElement[int]


def placed(at: ColumnElement[Any], name: str, now: FromClause) -> Placed:
    """Return the place of a moment.

    Args:
        at: a column of times.
        name: alias of the joined day, unique in the statement.
        now: the calendar in force.
    """
    day = calendar_day.alias(name)
    of_day = second_of_day(at, now)
    morning = func.greatest(0, func.least(of_day, day.c.rests) - day.c.opens)
    afternoon = func.greatest(0, func.least(of_day, day.c.closes) - day.c.resumes)
    outside = case((local_day(at, now) < now.c.first_day, 0), else_=now.c.total_seconds)
    place = case((at.is_(None), null()), else_=func.coalesce(day.c.seconds_before + morning + afternoon, outside))
    on = and_(day.c.version == now.c.version, day.c.day == local_day(at, now))
    return Placed(day, on, cast(place, BigInteger))


def with_days(rows: FromClause, *moments: Placed) -> Join | FromClause:
    """Join the days of some moments to the rows that have them."""
    joined: FromClause = rows
    for moment in moments:
        joined = joined.outerjoin(moment.day, moment.on)
    return joined


def local_second(at: ColumnElement[Any], now: FromClause) -> ColumnElement[int]:
    """Return the local time of a moment in whole seconds since 1970."""
    return cast(func.floor(func.extract("epoch", at)), BigInteger) + now.c.utc_offset_s


def second_of_day(at: ColumnElement[Any], now: FromClause) -> ColumnElement[int]:
    """Return the local time of day of a moment, in whole seconds."""
    return local_second(at, now) % _DAY_S


def local_day(at: ColumnElement[Any], now: FromClause) -> ColumnElement[date]:
    """Return the local day of a moment."""
    return _EPOCH_DAY.op("+", return_type=Date())(cast(local_second(at, now) // _DAY_S, Integer))


def next_midnight(at: ColumnElement[Any], now: FromClause) -> ColumnElement[Any]:
    """Return the beginning of the day after a moment's local day."""
    second = (local_second(at, now) // _DAY_S + 1) * _DAY_S
    return func.to_timestamp(second - now.c.utc_offset_s, type_=utc_time)


def moment(place: ColumnElement[int], now: FromClause, tables: Sequence[FromClause]) -> ColumnElement[Any]:
    """Return the first moment at which ``place`` seconds were worked, found by index; null after the calendar's end.

    Args:
        place: at least 1.
        now: the calendar in force.
        tables: the tables of which ``place`` is a column.
    """
    day = calendar_day.alias("moment_day")
    worked = place - day.c.seconds_before
    morning = day.c.rests - day.c.opens
    second = case((worked <= morning, day.c.opens + worked), else_=day.c.resumes + worked - morning)
    midnight = func.extract("epoch", day.c.day)
    return (
        select(func.to_timestamp(midnight + second - now.c.utc_offset_s, type_=utc_time))
        .where(day.c.version == now.c.version, day.c.seconds > 0, day.c.seconds_before < place)
        .where(place <= now.c.total_seconds)
        .order_by(day.c.seconds_before.desc())
        .limit(1)
        .correlate(now, *tables)
        .scalar_subquery()
    )
