"""Write columns into tables by binary COPY: polars to Arrow to PostgreSQL (pgpq), on SQLAlchemy's connection."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import pgpq
import polars as pl
import pyarrow as pa
from pgpq.encoders import LargeStringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg import sql
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import JSONB

from hub.model.errors import PoisonError
from hub.model.outcomes import Reason

_UNENCODABLE = (ValueError, OverflowError, RuntimeError, pl.exceptions.PolarsError, pa.ArrowException)
"""Errors of the libraries for a value that PostgreSQL's binary format cannot hold."""


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows in PostgreSQL's binary format: the columns they fill, and the bytes; all-null columns are left out."""

    columns: tuple[str, ...]
    pieces: tuple[bytes, ...]


def copy_rows(connection: Connection, table: Table, frame: pl.DataFrame) -> None:
    """Append a frame's rows to a table, in the connection's transaction; see ``encode_rows``."""
    copy_encoded(connection, table, encode_rows(table, frame))


def encode_rows(table: Table, frame: pl.DataFrame) -> EncodedRows:
    """Encode a frame's rows for a table: the part of a COPY that needs no connection.

    Args:
        table: must allow null, or have a default, for columns of the frame with only nulls.
        frame: column names are the table's; types as in ``hub.codec.polars_types``, ``Binary`` of 16 bytes for
            ``uuid``, JSON as text.

    Raises:
        PoisonError: some row cannot be encoded; ``hub.reconcile.isolate`` finds out which.
    """
    if frame.is_empty():
        return EncodedRows((), ())
    with _row_at_fault(table):
        kept = filled(frame)
        arrow = frame[kept].to_arrow(compat_level=pl.CompatLevel.oldest())
        encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(arrow.schema, _encoders(table, arrow.schema))
        pieces = [encoder.write_header()]
        pieces += [encoder.write_batch(batch) for batch in arrow.combine_chunks().to_batches()]
        return EncodedRows(tuple(kept), (*pieces, encoder.finish()))


@contextmanager
def _row_at_fault(table: Table) -> Iterator[None]:
    try:
        yield
    except _UNENCODABLE as error:
        raise _unencodable(table, error) from error
    except BaseException as panic:
        # A panic in a library's Rust code arrives as a BaseException whose class cannot be imported.
        if type(panic).__name__ != "PanicException":
            raise
        raise _unencodable(table, panic) from panic


def _unencodable(table: Table, error: BaseException) -> PoisonError:
    """Return the error without the library's own text, which may hold the value (I8)."""
    detail = f"a value has no form that PostgreSQL takes (encoding rows for {table.name}, {type(error).__name__})"
    return PoisonError(Reason.INVALID_VALUE, detail)


def filled(frame: pl.DataFrame) -> list[str]:
    """Return the names of the columns that have at least one value, in order."""
    nulls = frame.null_count().row(0)
    return [name for name, count in zip(frame.columns, nulls, strict=True) if count < frame.height]


def copy_encoded(connection: Connection, table: Table, rows: EncodedRows) -> None:
    """Append encoded rows to the table they were encoded for, in the connection's transaction."""
    if not rows.pieces:
        return
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    )
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - a checked-out connection has its driver's connection
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in rows.pieces:
            copy.write(piece)


@lru_cache(maxsize=1024)
def _encoders(table: Table, schema: pa.Schema) -> dict[str, Any]:
    json_columns = _json_columns(table)
    encoders: dict[str, Any] = {}
    for field in schema:
        if field.name in json_columns:
            encoders[field.name] = LargeStringEncoderBuilder.new_with_output(field, Jsonb())
        else:
            encoders[field.name] = pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)
    return encoders


@cache
def _json_columns(table: Table) -> frozenset[str]:
    return frozenset(column.name for column in table.columns if isinstance(column.type, JSONB))


def columns_of(table: Table, names: Sequence[str]) -> list[str]:
    """Return the names that are columns of the table, in the table's order."""
    wanted = set(names)
    return [column.name for column in table.columns if column.name in wanted]
