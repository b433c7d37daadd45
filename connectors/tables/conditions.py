"""The conditions of ``where``: the database reads their values as values of the column's own type."""

from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal

from sqlalchemy import Column, ColumnElement, Engine, String, Table, select, type_coerce
from sqlalchemy.types import Date, DateTime, NullType

from connectors.conversion.dates import moment_or_none
from connectors.conversion.numbers import is_number
from connectors.declared.declaration import Stream, Word
from connectors.faults import SourceRowError, translated
from connectors.raw.place import bound
from hub.model.errors import ConfigError

_MYSQL = ("mysql", "mariadb")


def conditions(table: Table, stream: Stream, dialect: str) -> list[ColumnElement[bool]]:
    """Return one condition per column that ``where`` names."""
    return [_condition(table.c[name], values, dialect) for name, values in stream.where.items()]


def condition_problems(engine: Engine, table: Table, stream: Stream, what: str) -> list[str]:
    """Return which values of ``where`` do not fit their columns. Asks PostgreSQL; finds what MariaDB would guess at.

    Raises:
        RetryableError: the source is unreachable.
    """
    dialect, found = engine.dialect.name, []
    for name, values in stream.where.items():
        column = table.c[name]
        unfit = list(_unfit(column, values)) if dialect in _MYSQL else []
        if dialect == "postgresql":
            statement = select(1).select_from(table).where(_condition(column, values, dialect)).limit(0)
            try:
                with translated(what), engine.connect() as connection:
                    connection.execute(statement)
            except SourceRowError:
                unfit = list(values)
            except ConfigError as error:
                if "42883" not in str(error):
                    raise
                unfit = list(values)
        if unfit:
            said = ", ".join(map(repr, unfit))
            kind = column.type.compile(engine.dialect) if not isinstance(column.type, NullType) else "of a special type"
            found.append(f"{what}: where.{name}: the column is {kind}, and {said} cannot be compared with it")
    return found


def _condition(column: Column[object], values: tuple[Word, ...], dialect: str) -> ColumnElement[bool]:
    is_text = dialect in _MYSQL and isinstance(column.type, String)
    # MariaDB compares text and a number as numbers: '1abc' would be 1
    given = [str(value) if is_text and not isinstance(value, bool) else value for value in values]
    return type_coerce(column, NullType()).in_([bound(value, dialect) for value in given])


def _unfit(column: Column[object], values: tuple[Word, ...]) -> Iterator[Word]:
    """Yield the texts that MariaDB would read as 0 when compared with a number, or as no day with a date."""
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return
    for value in values:
        if not isinstance(value, str):
            continue
        is_unfit = kind in (int, float, Decimal, bool) and not is_number(value)
        if isinstance(column.type, Date | DateTime):
            is_unfit = moment_or_none(value, UTC) is None
        if is_unfit:
            yield value
