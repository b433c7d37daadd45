"""The stage: temporary tables that a batch's rows are copied into before the merge.

Encoding rows for the COPY needs no connection: it is done while the database works on the batch before.
"""

from dataclasses import replace

import polars as pl
from sqlalchemy import Connection

from hub.warehouse.batch import Accepted, Staged
from hub.warehouse.copy import EncodedRows, columns_of, copy_encoded, encode_rows
from hub.warehouse.entity_tables import all_aspect_tables, aspect_tables


def ensure_stages(connection: Connection) -> None:
    """Make the temporary tables of every subject, once per connection and in a transaction of its own."""
    if connection.info.get("stages"):
        return
    with connection.begin():
        # Nobody knows how many rows a stage has: to sort them for a merge join costs more than to hash them.
        connection.exec_driver_sql("SET enable_mergejoin = off")
        for tables in all_aspect_tables():
            tables.stage.create(connection, checkfirst=False)
            tables.merged.create(connection, checkfirst=False)
    connection.info["stages"] = True


def with_stage(accepted: Accepted) -> Accepted:
    """Return the rows with their encoding for the stage beside them."""
    return replace(accepted, staged=Staged(accepted.frame, _encoded(accepted)))


def stage(connection: Connection, accepted: Accepted) -> None:
    """Copy the rows into the stage; rows whose encoding is missing, or is of another frame, are encoded now."""
    staged = accepted.staged
    rows = staged.rows if staged is not None and staged.frame is accepted.frame else _encoded(accepted)
    copy_encoded(connection, aspect_tables(accepted.subject).stage, rows)


def _encoded(accepted: Accepted) -> EncodedRows:
    """Encode in key order: neighbours in the claims' index, and the same order of locks in every worker."""
    table, frame = aspect_tables(accepted.subject).stage, accepted.frame
    order = frame["key"].bin.reinterpret(dtype=pl.Int128, endianness="big").arg_sort()
    filled = [name for name in columns_of(table, frame.columns) if frame[name].null_count() < frame.height]
    return encode_rows(table, pl.DataFrame([frame[name][order] for name in filled]))
