"""Read the rows of a statement as Arrow columns, on SQLAlchemy's connection and in its transaction.

The driver gives each value as it comes in PostgreSQL's binary format, without making dates, times and UUIDs of it:
columns are made of whole lists at once.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import adapters
from psycopg.types.numeric import Int4BinaryLoader, Int8BinaryLoader
from psycopg.types.string import ByteaBinaryLoader
from sqlalchemy import Connection, Select
from sqlalchemy.dialects import postgresql

TEXT, KEY, TIME, DAY, NUMBER, TRUTH, REAL = (
    pa.large_string(),
    pa.large_binary(),
    pa.timestamp("us", "UTC"),
    pa.date32(),
    pa.int64(),
    pa.bool_(),
    pa.float64(),
)
"""Arrow's types of columns: texts and JSON; UUIDs and bytes; times; days; whole numbers; truths; other numbers."""

_UUID_BYTES = 16
_EPOCH_DAYS = 10_957
"""Days from 1970, where Arrow begins to count, to 2000, where PostgreSQL begins."""
_EPOCH_MICROS = _EPOCH_DAYS * 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162 - _EPOCH_DAYS, 2_932_896 - _EPOCH_DAYS
"""1 January of the year 1 and 31 December 9999, in PostgreSQL's count."""


class UnreadableError(ValueError):
    """A time or a day that has no value in Python and in Avro, such as ``infinity``."""


def fetch_columns(connection: Connection, statement: Select[Any], parameters: Mapping[str, Any]) -> dict[str, pa.Array]:
    """Run a statement and return its columns by name, each an Arrow array in the statement's order.

    UUIDs are 16 bytes, JSON is its text. A list of UUIDs as a parameter is an Arrow array of them.

    Raises:
        UnreadableError: a time or a day is out of range.
        psycopg.Error: as the driver raises it.
    """
    text, names, constants = _compiled(statement)
    raw: Any = connection.connection.driver_connection
    with raw.cursor(binary=True) as cursor:
        _load_plainly(cursor)
        try:
            cursor.execute(text, {**constants} | {name: _parameter(value) for name, value in parameters.items()})
            oids = [cursor.pgresult.ftype(place) for place in range(len(names))]
            rows = cursor.fetchall()
        except psycopg.Error as error:
            if raw.closed or raw.broken:
                connection.invalidate(error)
            raise
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return {name: _array(oid, values) for name, oid, values in zip(names, oids, columns, strict=True)}


@cache
def _compiled(statement: Select[Any]) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
    dialect: Any = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
    compiled = statement.compile(dialect=dialect)
    unknown = {name: None for name, bound in compiled.binds.items() if bound.required}
    whole = compiled.construct_expanded_state(unknown)  # with the lists of constants written out
    constants = {name: value for name, value in whole.parameters.items() if name not in unknown}
    return whole.statement, tuple(statement.selected_columns.keys()), constants


def _load_plainly(cursor: psycopg.Cursor[Any]) -> None:
    for name in ("uuid", "bytea", "text", "varchar", "jsonb", "json"):
        cursor.adapters.register_loader(name, ByteaBinaryLoader)
    for name in ("timestamptz", "timestamp"):
        cursor.adapters.register_loader(name, Int8BinaryLoader)
    cursor.adapters.register_loader("date", Int4BinaryLoader)


def _parameter(value: Any) -> Any:
    if not isinstance(value, pa.Array):
        return value
    return f"{{{b''.join(value.to_pylist()).hex(',', _UUID_BYTES)}}}"


def _array(oid: int, values: Sequence[Any]) -> pa.Array:
    if values.count(None) == len(values):
        return pa.nulls(len(values), _TYPES.get(oid, TEXT))
    return _ARRAYS.get(oid, _plain)(values)


def _plain(values: Sequence[Any]) -> pa.Array:
    return pa.array(values)


def _of_type(kind: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    return lambda values: pa.array(values, kind)


def _text(values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.large_binary()).cast(TEXT)


def _json(values: Sequence[Any]) -> pa.Array:
    # the binary format of jsonb is its version, one byte, and the text
    texts = pl.Series(values, dtype=pl.Binary).bin.slice(1).cast(pl.String)
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest())


def _time(values: Sequence[Any]) -> pa.Array:
    numbers = pa.array(values, NUMBER)
    _within(numbers, _FIRST_DAY * 86_400_000_000, (_LAST_DAY + 1) * 86_400_000_000 - 1)
    return pc.add(numbers, _EPOCH_MICROS).cast(TIME)


def _day(values: Sequence[Any]) -> pa.Array:
    numbers = pa.array(values, pa.int32())
    _within(numbers, _FIRST_DAY, _LAST_DAY)
    return pc.add(numbers, pa.scalar(_EPOCH_DAYS, pa.int32())).cast(DAY)


def _within(numbers: pa.Array, least: int, most: int) -> None:
    bounds = pc.min_max(numbers).as_py()
    if bounds["min"] is not None and (bounds["min"] < least or bounds["max"] > most):
        raise UnreadableError("a time or a day is out of range")


def _oid(name: str) -> int:
    found = adapters.types.get(name)
    assert found is not None  # noqa: S101 - a type that every PostgreSQL has
    return found.oid


_ARRAYS: dict[int, Callable[[Sequence[Any]], pa.Array]] = {
    **{_oid(name): _text for name in ("text", "varchar")},
    **{_oid(name): _of_type(KEY) for name in ("uuid", "bytea")},
    **{_oid(name): _of_type(NUMBER) for name in ("int2", "int4", "int8")},
    _oid("bool"): _of_type(TRUTH),
    _oid("float8"): _of_type(REAL),
    _oid("jsonb"): _json,
    _oid("timestamptz"): _time,
    _oid("date"): _day,
}
_TYPES: dict[int, pa.DataType] = {
    **{_oid(name): KEY for name in ("uuid", "bytea")},
    **{_oid(name): NUMBER for name in ("int2", "int4", "int8")},
    _oid("bool"): TRUTH,
    _oid("float8"): REAL,
    _oid("timestamptz"): TIME,
    _oid("date"): DAY,
}
"""The types of columns without any value; others are texts."""
