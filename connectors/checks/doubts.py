"""Doubts about the order of changes in a source's tables: ``hub connect check`` reports them and refuses nothing.

It looks at the column that is the version: how finely its type and its newest values measure time, what fills it, and,
if it is an id, whether ids are taken ahead.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Connection, func, select, text

from connectors.access.source import SourceTable, raw
from connectors.conversion.dates import moment_or_none
from connectors.conversion.versions import version_column
from connectors.declared.declaration import Declaration, Kind
from connectors.faults import translated
from connectors.tables.sequences import numbers_of

_LOOKED_AT = 1_000
_FINE = 3
"""Digits of a second that are enough to separate what people and programs do one after another."""

_COARSE_TYPES = ("DATE", "SMALLDATETIME", "YEAR")
_BEGIN_OF_TRANSACTION = re.compile(r"\b(now\(\)|current_timestamp|transaction_timestamp\(\)|localtimestamp)", re.I)
_TRIGGERS = text(
    """SELECT tgname, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
       WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal ORDER BY tgname"""
)


def order_doubts(declaration: Declaration, table: SourceTable) -> tuple[str, ...]:
    """Return what may put changes of a stream's table into a wrong order, each with what to do about it.

    Raises:
        RetryableError: the source is unreachable.
    """
    stream = table.stream
    name = version_column(stream)
    column = None if name is None else table.table.c.get(name)
    with translated(table.what), table.engine.connect() as connection:
        return (*_time_of_the_query(connection, table), *_of_version(connection, declaration, table, column))


def _of_version(
    connection: Connection, declaration: Declaration, table: SourceTable, column: Column[Any] | None
) -> tuple[str, ...]:
    """Return the doubts about the column that is the version."""
    if column is None:
        return ()
    stream, name = table.stream, column.name
    if name == stream.changed_at or _is_time(column):
        zone = ZoneInfo(declaration.time_zone)
        return (*_coarse(connection, column, zone), *_begins(connection, table, column))
    if stream.kind is Kind.OUTBOX and name == stream.key[0]:
        return tuple(_ahead(connection, table, column, ZoneInfo(declaration.time_zone)))
    return ()


def _time_of_the_query(connection: Connection, table: SourceTable) -> Iterator[str]:
    """Yield a doubt if a view of PostgreSQL computes the time of change when it is asked: its rows are always new."""
    column = table.changed_at
    if not table.is_postgresql or table.has_writers or column is None or not _is_time(column):
        return
    is_computed = (column >= func.now()) & (column <= func.clock_timestamp())
    if connection.execute(select(column).where(is_computed).limit(1)).first() is not None:
        yield (
            f"{column.name}: the view computes it when it is asked (now()): every poll finds all rows changed and sends"
            " them again, and `--once` does not end; name a column that changes only with the row"
        )


def _is_time(column: Column[Any]) -> bool:
    try:
        return issubclass(column.type.python_type, date)
    except NotImplementedError:
        return False


def _coarse(connection: Connection, column: Column[Any], zone: ZoneInfo) -> Iterator[str]:
    """Yield a doubt if a column's times have only whole seconds or are coarser."""
    digits = _digits(connection, column)
    if digits is None:
        value = raw(column)
        newest = select(value).where(column.is_not(None)).order_by(column.desc()).limit(_LOOKED_AT)
        times = [moment_or_none(found, zone) for found in connection.execute(newest).scalars()]
        known = [when for when in times if when is not None]
        if not known or any(when.microsecond for when in known):
            return
        said = f"its {len(known):,} newest values are in whole seconds"
    elif digits >= _FINE:
        return
    else:
        said = f"its type ({column.type}) has a resolution of {'one day' if digits < 0 else f'{10**-digits:g} s'}"
    yield (
        f"{column.name}: {said}: two changes within that time get one version. The later change wins if both are read;"
        " declare a version column that rises, or make the column finer (timestamp(6), DATETIME(6))"
    )


def _digits(connection: Connection, column: Column[Any]) -> int | None:
    """Return how many digits of a second a type keeps: -1 for days, None for the finest or if it is unknown."""
    kind = type(column.type).__name__.upper()
    if kind in _COARSE_TYPES or not issubclass(_python_type(column), datetime):
        return -1 if kind in _COARSE_TYPES or issubclass(_python_type(column), date) else None
    for name in ("precision", "fsp"):
        if (digits := getattr(column.type, name, None)) is not None:
            return int(digits)
    return 0 if connection.dialect.name in ("mysql", "mariadb") else None


def _python_type(column: Column[Any]) -> type:
    try:
        return column.type.python_type
    except NotImplementedError:
        return object


def _begins(connection: Connection, table: SourceTable, column: Column[Any]) -> Iterator[str]:
    """Yield a doubt if a column of PostgreSQL is filled with the start time of the transaction."""
    if not table.is_postgresql:
        return
    default = getattr(column.server_default, "arg", None)
    by = ["its default"] if default is not None and _BEGIN_OF_TRANSACTION.search(str(default)) else []
    whole = connection.dialect.identifier_preparer.format_table(table.table)
    for trigger, source in connection.execute(_TRIGGERS, {"table": whole}):
        if column.name.lower() in source.lower() and _BEGIN_OF_TRANSACTION.search(source):
            by.append(f"trigger {trigger}")
    if by:
        yield (
            f"{column.name}: {' and '.join(by)} sets the time at which the transaction began: an older transaction"
            " that writes last has the older time. The later state wins if both are read; use clock_timestamp(),"
            " or declare a version column that rises"
        )


def _ahead(connection: Connection, table: SourceTable, column: Column[Any], zone: ZoneInfo) -> Iterator[str]:
    """Yield doubts about an outbox whose ids are its versions: sessions may take ids ahead."""
    what_to_do = 'declare version = "the time of the change", a column that clock_timestamp() fills'
    numbers = numbers_of(connection, column) if table.is_postgresql else None
    if numbers is not None and not numbers.are_in_order:
        step = f"a cache of {numbers.cache}" if numbers.cache > 1 else f"steps of {numbers.increment}"
        yield (
            f"{column.name}: sequence {numbers.name} has {step}: sessions take ids ahead, so a later change may have"
            f" the lower id; {what_to_do}"
        )
        return
    if table.changed_at is None:
        yield f"{column.name}: without changed_at nothing shows whether ids rise with time; declare it"
        return
    newest = select(raw(table.changed_at)).order_by(column.desc()).limit(_LOOKED_AT)
    times = [moment_or_none(found, zone) for found in connection.execute(newest).scalars()]
    known = [when for when in times if when is not None]
    against = sum(later < earlier for later, earlier in pairwise(known))
    if against:
        yield (
            f"{column.name}: of the {len(known):,} newest rows {against:,} have a lower id and a later time than the"
            f" next row: ids are taken ahead, or times are those at which transactions began; {what_to_do}"
        )
