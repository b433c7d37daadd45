"""Who is dead or missing, by the records of people: update the table ``deceased`` after what a batch wrote.

It follows from the records alone: a death that is corrected or withdrawn leaves the table again (I4).
"""

from functools import cache
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Executable,
    Integer,
    Interval,
    Select,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from hub.model.values.bounds import LEAST_YEAR, MOST_YEAR
from hub.reconcile.shared.held_claims import held
from hub.warehouse.tables.aspect_columns import new_value, old_value
from hub.warehouse.tables.entities import AspectTables
from hub.warehouse.tables.people import deceased

DEAD = "DEAD"
STATES = (DEAD, "MISSING")
"""Values of ``life_status`` of people in the table."""

_COLUMNS = ("key", "state", "died_year", "died_month", "died_day", "died_on", "source", "since")


def deaths_changed(connection: Connection, tables: AspectTables, any_dead: bool, any_before: bool) -> set[UUID]:
    """Update the table for the keys of ``tables.merged``; return the keys whose row changed.

    Args:
        connection: in the batch's transaction.
        tables: the aspect of people.
        any_dead: whether a written claim, or a claim of a record that moved, may say that somebody is dead.
        any_before: whether a claim may have said so before.
    """
    changed: set[UUID] = set()
    if any_dead:
        changed |= set(connection.execute(deaths_told(tables)).scalars())
    if any_before:
        changed |= set(connection.execute(deaths_taken_back(tables)).scalars())
    return changed


@cache
def deaths_told(tables: AspectTables) -> Executable:
    """Insert the people of the batch whose record says that they are dead or missing."""
    person, merged = held(tables, "person"), tables.merged
    # Another source's claim holds a record that moved, whoever wrote.
    told = or_(merged.c.moved, merged.c[new_value("life_status")].in_(STATES))
    among = select(merged.c.key).where(told).distinct().subquery()
    year, month, day = (person.c[f"life_status_{part}"] for part in ("year", "month", "day"))
    rows = (
        select(
            person.c["key"],
            person.c["life_status"],
            year,
            month,
            day,
            earliest_day(year, month, day),
            person.c["source"],
            person.c["occurred_at"],
        )
        .select_from(person.source.join(among, among.c.key == person.c["key"]))
        .where(person.c["life_status"].in_(STATES))
    )
    telling = insert(deceased).from_select(list(_COLUMNS), rows)
    return telling.on_conflict_do_update(
        index_elements=["key"],
        set_={name: telling.excluded[name] for name in _COLUMNS[1:]},
        where=or_(*(deceased.c[name].is_distinct_from(telling.excluded[name]) for name in _COLUMNS[1:])),
    ).returning(deceased.c.key)


@cache
def deaths_taken_back(tables: AspectTables) -> Executable:
    """Delete the people of the batch whose record no longer says so."""
    person, merged = held(tables, "person"), tables.merged
    said_before = or_(merged.c.moved, merged.c[old_value("life_status")].in_(STATES))
    still = exists(
        select(literal(1))
        .select_from(person.source)
        .where(person.c["key"] == deceased.c.key, person.c["life_status"].in_(STATES))
        .correlate(deceased)
    )
    return delete(deceased).where(deceased.c.key == merged.c.key, said_before, ~still).returning(deceased.c.key)


def earliest_day(year: ColumnElement[int], month: ColumnElement[int], day: ColumnElement[int]) -> ColumnElement[object]:
    """Return the first day that a partial date allows; null without a plausible year.

    A day beyond the end of the month becomes the month's last day; a day without a month is ignored.
    """
    first = func.make_date(year, func.coalesce(month, 1), 1, type_=Date)
    last = cast(first + literal_column("interval '1 month - 1 day'", Interval), Date)
    days_on = case((and_(month.is_not(None), day.is_not(None)), day - 1), else_=0)
    found = func.least(first + cast(days_on, Integer), last)
    return case((year.between(LEAST_YEAR, MOST_YEAR), found))


def local_day(time: ColumnElement[object]) -> ColumnElement[object]:
    """Return the day of a time in Vietnam."""
    return cast(func.timezone("Asia/Ho_Chi_Minh", time), Date)


def the_dead(keys: Select[UUID]) -> Select[UUID, object]:
    """Select (key, died_on) of the dead people among some keys; without a date, the day on which it was reported."""
    found = keys.subquery()
    died_on = func.coalesce(deceased.c.died_on, local_day(deceased.c.since)).label("died_on")
    return (
        select(deceased.c.key, died_on)
        .join_from(deceased, found, found.c[0] == deceased.c.key)
        .where(deceased.c.state == DEAD)
    )
