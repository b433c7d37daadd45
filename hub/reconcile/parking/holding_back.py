"""Hold back events whose reference does not exist yet, every later event of their key, and events dated ahead.

Runs between staging and the merge, in the batch's transaction, for aspects that declare references. Rows that are held
back leave the stage and are kept whole in ``parked``, in log order; their audit row says ``parked``. Other keys
continue. ``hub.reconcile.parking.releasing`` releases the rows later.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import polars as pl
from sqlalchemy import (
    BigInteger,
    Connection,
    Delete,
    Integer,
    Row,
    Select,
    SmallInteger,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.model.entities import entity_named
from hub.model.outcomes import Outcome, Reason
from hub.reconcile.parking.dated_ahead import ask_about, rows_ahead, waits_for_officer
from hub.reconcile.parking.references import named_by_row
from hub.reconcile.shared.event_order import ORDER_COLUMNS, with_event_order
from hub.reconcile.shared.stage import stage
from hub.warehouse.batch import NO_AUDIT_ROWS, Accepted, audit_rows
from hub.warehouse.copy import copy_rows
from hub.warehouse.tables.core import parked
from hub.warehouse.tables.entities import AspectTables, aspect_tables


@cache
def rows_that_must_wait(tables: AspectTables) -> Select[tuple[int, int, str | None]]:
    """Select (log, log_offset, waits_for) of staged rows with a missing reference, or behind one that waits."""
    stage = tables.stage
    sibling = stage.alias("sibling")
    missing = []
    for reference in tables.aspect.references:
        named = named_by_row(tables, reference)
        condition = and_(named.is_named(stage.c[reference.field]), ~named.is_known())
        if named.entity is tables.entity:
            condition = and_(condition, ~exists().where(named.is_it(sibling.c)))
        missing.append((condition, named.as_text()))
    waits_for = case(*missing, else_=null())
    behind = exists().where(
        parked.c.subject == tables.aspect.subject,
        parked.c.key == stage.c.key,
        ~waits_for_officer(parked.c.waits_for),
        or_(parked.c.log != stage.c.log, parked.c.log_offset < stage.c.log_offset),
    )
    found = select(stage.c.log, stage.c.log_offset, waits_for.label("waits_for"), behind.label("behind")).subquery()
    return select(found.c.log, found.c.log_offset, found.c.waits_for).where(
        or_(found.c.waits_for.is_not(None), found.c.behind)
    )


def hold_back(
    connection: Connection, accepted: Accepted, let_in: frozenset[tuple[int, int]]
) -> tuple[Accepted, pl.DataFrame]:
    """Park the staged rows that must wait; return the rows that continue, and audit rows for the parked ones.

    Args:
        connection: of the batch's transaction; ``accepted`` is staged.
        accepted: the rows; those that continue are staged again if their turns change.
        let_in: places of rows that are admitted although a reference is missing.
    """
    tables = aspect_tables(accepted.subject)
    nothing = NO_AUDIT_ROWS
    ahead = rows_ahead(accepted.frame, let_in)
    if not ahead.is_empty():
        nothing = _audit_rows(ahead, Reason.TIME_IN_FUTURE)
        accepted = _without(connection, accepted, ahead)
        ask_about(connection, accepted.subject, ahead)
    if not tables.aspect.references or accepted.frame.is_empty():
        return accepted, nothing
    rows = connection.execute(rows_that_must_wait(tables)).all()
    accepted = _with_flags(connection, accepted, [row for row in rows if (row.log, row.log_offset) in let_in])
    waiting = [tuple(row) for row in rows if (row.log, row.log_offset) not in let_in]
    if not waiting:
        return accepted, nothing
    held = _held(accepted.frame, waiting)
    return _without(connection, accepted, held), pl.concat([nothing, _audit_rows(held, Reason.REFERENCE_MISSING)])


def _without(connection: Connection, accepted: Accepted, held: pl.DataFrame) -> Accepted:
    """Park some staged rows; return the others, staged again if their turns change."""
    tables = aspect_tables(accepted.subject)
    kept = accepted.frame.join(held, on=["log", "log_offset"], how="anti", maintain_order="left")
    _keep_parked(connection, accepted, held)
    again = kept.join(held.select("key").unique(), on="key", how="semi", maintain_order="left")
    leaving = pl.concat([held.select("log", "log_offset"), again.select("log", "log_offset")])
    places = {"logs": leaving["log"].to_list(), "offsets": leaving["log_offset"].to_list()}
    connection.execute(rows_at_places(tables), places)
    if not again.is_empty():
        again = with_event_order(again.drop(ORDER_COLUMNS), tables.identity).select(kept.columns)
        stage(connection, replace(accepted, frame=again, staged=None))
        others = kept.join(again.select("key").unique(), on="key", how="anti", maintain_order="left")
        kept = pl.concat([others, again]).sort("row")
    links = accepted.links.join(kept.select("row"), on="row", how="semi")
    return replace(accepted, frame=kept, staged=None, links=links)


def _with_flags(connection: Connection, accepted: Accepted, let_in: Sequence[Row[Any]]) -> Accepted:
    """Flag rows that are admitted although what they name is unknown, in the stage too."""
    unknown = [
        (row.log, row.log_offset, int(entity_named(row.waits_for.split(":", 1)[0]).unknown))
        for row in let_in
        if row.waits_for is not None
    ]
    if not unknown:
        return accepted
    logs, offsets, bits = (list(column) for column in zip(*unknown, strict=True))
    tables = aspect_tables(accepted.subject)
    connection.execute(flags_added(tables), {"logs": logs, "offsets": offsets, "bits": bits})
    flags = pl.DataFrame(
        unknown, schema={"log": pl.Int16(), "log_offset": pl.Int64(), "_bit": pl.Int32()}, orient="row"
    )
    frame = accepted.frame.join(flags, on=["log", "log_offset"], how="left", maintain_order="left")
    added = pl.when(pl.col("_bit").is_null()).then("flags").otherwise(pl.col("flags").fill_null(0) | pl.col("_bit"))
    return replace(accepted, frame=frame.with_columns(flags=added).drop("_bit"), staged=None)


@cache
def flags_added(tables: AspectTables) -> Update:
    """Add ``:bits`` to the flags of the staged rows at ``:logs``, ``:offsets``."""
    staged = tables.stage
    logs, offsets = bindparam("logs", type_=ARRAY(SmallInteger)), bindparam("offsets", type_=ARRAY(BigInteger))
    named = func.unnest(logs, offsets, bindparam("bits", type_=ARRAY(Integer)))
    unknown = named.table_valued("log", "log_offset", "bit", name="unknown").render_derived()
    return (
        update(staged)
        .values(flags=func.coalesce(staged.c.flags, 0).bitwise_or(unknown.c.bit))
        .where(staged.c.log == unknown.c.log, staged.c.log_offset == unknown.c.log_offset)
    )


def _held(frame: pl.DataFrame, waiting: list[tuple[Any, ...]]) -> pl.DataFrame:
    """Return the rows at ``waiting`` and every later row of their keys, each with what it waits for.

    ``row`` follows log order within each log partition, and all records of a key are in one partition.
    """
    found = pl.DataFrame(
        waiting,
        schema={"log": pl.Int16(), "log_offset": pl.Int64(), "waits_for": pl.String()},
        orient="row",
    )
    first = (
        frame.select("row", "log", "log_offset", "key")
        .join(found, on=["log", "log_offset"])
        .group_by("key")
        .agg(_first=pl.col("row").min())
    )
    return (
        frame.join(first, on="key", maintain_order="left")
        .filter(pl.col("row") >= pl.col("_first"))
        .join(found, on=["log", "log_offset"], how="left", maintain_order="left")
        .drop("_first")
    )


def _keep_parked(connection: Connection, accepted: Accepted, held: pl.DataFrame) -> None:
    values = [accepted.values[row] for row in held["row"]]
    rows = held.select("log", "log_offset", "key", "source", "waits_for").with_columns(
        subject=pl.lit(accepted.subject),
        record_key=pl.col("key"),
        record_value=pl.Series(values, dtype=pl.Binary),
    )
    copy_rows(connection, parked, rows)


@cache
def rows_at_places(tables: AspectTables) -> Delete:
    """Delete the rows at ``:logs``, ``:offsets`` from the stage."""
    staged = tables.stage
    logs, offsets = bindparam("logs", type_=ARRAY(SmallInteger)), bindparam("offsets", type_=ARRAY(BigInteger))
    places = func.unnest(logs, offsets).table_valued("log", "log_offset", name="places").render_derived()
    return delete(staged).where(staged.c.log == places.c.log, staged.c.log_offset == places.c.log_offset)


def _audit_rows(held: pl.DataFrame, reason: Reason) -> pl.DataFrame:
    said = held.with_columns(
        outcome=pl.lit(Outcome.PARKED.value), reason=pl.lit(reason.value), detail=pl.col("waits_for")
    )
    return audit_rows(said)
