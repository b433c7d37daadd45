"""Columns into tables by binary COPY: polars to Arrow to PostgreSQL's rows (pgpq), on SQLAlchemy's connection."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import pgpq
import polars as pl
import pyarrow as pa
from pgpq.encoders import LargeStringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg import sql
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import JSONB


def copy_rows(connection: Connection, table: Table, frame: pl.DataFrame) -> None:
    """Append a frame's rows to a table, in the connection's transaction.

    Args:
        connection: whose ``search_path`` decides the schema.
        table: columns of the frame that are all null are left out, so the table must allow or default them.
        frame: column names are column names of the table; types as ``hub.codec.polars_types`` gives them, ``Binary``
            of 16
            bytes for ``uuid``, JSON as text. ``text`` columns may be String.
    """
    if frame.is_empty():
        return
    nulls = frame.null_count().row(0)
    kept = [name for name, count in zip(frame.columns, nulls, strict=True) if count < frame.height]
    arrow = frame.select(kept).to_arrow(compat_level=pl.CompatLevel.oldest())
    batches = arrow.combine_chunks().to_batches()
    encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(arrow.schema, _encoders(table, arrow.schema))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, kept))
    )
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - a checked-out connection has its driver's connection
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encoder.write_header())
        for batch in batches:
            copy.write(encoder.write_batch(batch))
        copy.write(encoder.finish())


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
    return [column.name for column in table.columns if column.name in set(names)]
