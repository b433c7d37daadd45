"""Last part of the merge: the outcome of every staged row, written to the audit log."""

from functools import cache

import polars as pl
from sqlalchemy import (
    ColumnElement,
    Insert,
    Select,
    Table,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
)

from hub.model.outcomes import Outcome, Reason
from hub.model.values.doubtful import DOUBTFUL
from hub.reconcile.shared.identity import same_identity
from hub.warehouse.batch import ORDER_DUPLICATE, ORDER_REUSED, ORDER_STALE
from hub.warehouse.tables.core import outcome_type
from hub.warehouse.tables.entities import AspectTables


def _audit_rows(
    tables: AspectTables,
    batch: ColumnElement[int],
    outcome: ColumnElement[str],
    is_reused: ColumnElement[bool],
    stored_hash: ColumnElement[int],
) -> Select[tuple[object, ...]]:
    """Select audit rows; ``detail`` tells which values broke their rule.

    A reused version gets its own hash as ``content_hash``, and the stored one in ``detail``.
    """
    stage = tables.stage
    used_before = func.concat("stored content_hash ", func.coalesce(stored_hash, stage.c.turn_hash))
    return select(
        stage.c.log,
        stage.c.log_offset,
        batch,
        cast(outcome, outcome_type),
        stage.c.source,
        stage.c.source_epoch,
        stage.c.source_version,
        stage.c.content_hash,
        stage.c.occurred_at,
        stage.c.key,
        stage.c.event_id,
        case((is_reused, Reason.VERSION_REUSED.value)),
        case((is_reused, used_before), else_=stage.c[DOUBTFUL]),
        stage.c.flags,
    )


_AUDIT_COLUMNS = [
    "log",
    "log_offset",
    "batch",
    "outcome",
    "source",
    "source_epoch",
    "source_version",
    "content_hash",
    "occurred_at",
    "key",
    "event_id",
    "reason",
    "detail",
    "flags",
]


def _against(
    tables: AspectTables, epoch: ColumnElement[int], version: ColumnElement[int], content_hash: ColumnElement[int]
) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    """Return whether a staged row is older than the stored one, equal, or of the same version with other content."""
    stage = tables.stage
    mine, stored = tuple_(stage.c.source_epoch, stage.c.source_version), tuple_(epoch, version)
    same = mine == stored
    return (
        mine < stored,
        and_(same, stage.c.content_hash == content_hash),
        and_(same, stage.c.content_hash != content_hash),
    )


def applied(rows: pl.DataFrame, batch_id: int) -> pl.DataFrame:
    """Return audit rows with outcome ``applied`` for staged rows; needs the stage's columns of those names."""
    said = {"batch": pl.Series([batch_id], dtype=pl.Int64), "outcome": pl.Series([Outcome.APPLIED.value])}
    more = [value.new_from_index(0, rows.height).alias(name) for name, value in said.items()]
    if DOUBTFUL in rows.columns:
        more.append(rows[DOUBTFUL].alias("detail"))
    return rows[[name for name in _AUDIT_COLUMNS if name in rows.columns]].hstack(more)


@cache
def newest_but_not_applied(tables: AspectTables, are_all_written: bool) -> Select[int, int]:
    """Select the places of newest rows that were not written, or that do not hold their record.

    ``are_all_written``: every newest row was written, so only the few superseded ones must be joined.
    """
    stage, merged = tables.stage, tables.merged
    written = and_(same_identity(tables, stage, merged), stage.c.source == merged.c.source)
    not_applied = ~merged.c.held
    if not are_all_written:
        not_applied = or_(merged.c.key.is_(None), not_applied)
    return (
        select(stage.c.log, stage.c.log_offset)
        .join_from(stage, merged, written, isouter=not are_all_written)
        .where(stage.c.newest, not_applied)
    )


@cache
def audit_of_merged(
    tables: AspectTables, batch_id: ColumnElement[int], into: Table, without_applied: bool = False
) -> Insert:
    """Write audit rows into ``into`` (audit or release) for every (identity, source) whose claim was written.

    ``without_applied``: leave out the newest rows that hold their record, because their audit rows already exist.
    """
    stage, merged = tables.stage, tables.merged
    older, repeated, reused = _against(tables, merged.c.old_epoch, merged.c.old_version, merged.c.old_hash)
    older = or_(stage.c.turn == ORDER_STALE, older)
    outcome = case(
        (older, Outcome.STALE.value),
        (repeated, Outcome.DUPLICATE.value),
        (reused, Outcome.REJECTED.value),
        (stage.c.turn == ORDER_DUPLICATE, Outcome.DUPLICATE.value),
        (stage.c.turn == ORDER_REUSED, Outcome.REJECTED.value),
        (merged.c.held, Outcome.APPLIED.value),
        else_=Outcome.SUPERSEDED.value,
    )
    is_reused = and_(~func.coalesce(or_(older, repeated), False), or_(reused, stage.c.turn == ORDER_REUSED))
    stored_hash = case((reused, merged.c.old_hash))
    rows = _audit_rows(tables, batch_id, outcome, is_reused, stored_hash).join_from(
        stage, merged, and_(same_identity(tables, stage, merged), stage.c.source == merged.c.source)
    )
    if without_applied:
        rows = rows.where(or_(~stage.c.newest, ~merged.c.held))
    return insert(into).from_select(_AUDIT_COLUMNS, rows)


@cache
def audit_of_unwritten(tables: AspectTables, batch_id: ColumnElement[int], into: Table) -> Insert:
    """Audit, in ``into``, the rows that are not newer than the stored claim: stale, duplicate, reused version."""
    stage, merged, claim = tables.stage, tables.merged, tables.claim
    older, repeated, reused = _against(tables, claim.c.source_epoch, claim.c.source_version, claim.c.content_hash)
    outcome = case(
        (older, Outcome.STALE.value),
        (repeated, Outcome.DUPLICATE.value),
        else_=Outcome.REJECTED.value,
    )
    rows = (
        _audit_rows(tables, batch_id, outcome, reused, claim.c.content_hash)
        .join_from(stage, claim, and_(same_identity(tables, stage, claim), stage.c.source == claim.c.source))
        .where(
            ~exists().where(same_identity(tables, merged, stage), merged.c.source == stage.c.source),
        )
    )
    return insert(into).from_select(_AUDIT_COLUMNS, rows)
