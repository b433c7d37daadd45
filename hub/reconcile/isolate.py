"""Find the rows of a batch that PostgreSQL refuses, make them dead letters, and keep the other rows.

This is for rows that passed decoding and checks and still cannot be stored: a NUL in a text, or a value that no check
covers. Text columns are searched for NUL first. Any other cause is found by halving; each try runs in a transaction
that is rolled back. Only a row that cannot be stored alone is refused.
"""

from dataclasses import replace

import polars as pl
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSONB

from hub.model.errors import PoisonError
from hub.model.outcomes import Outcome
from hub.reconcile.fence import Stamp
from hub.reconcile.merge import commit_batch
from hub.reconcile.shared.event_order import ORDER_COLUMNS, with_event_order
from hub.reconcile.shared.stage import ensure_stages_of
from hub.warehouse.batch import Accepted, Batch, audit_rows
from hub.warehouse.database import translated_errors
from hub.warehouse.dead_letters import dead_letters
from hub.warehouse.tables.entities import aspect_tables

_NUL = r"\x00"
_NUL_IN_JSON = r"(^|[^\\])(\\\\)*\\u0000"
"""Matches the escape itself, and not an escaped backslash before the letters u0000."""


def without_refused_rows(connection: Connection, batch: Batch, error: PoisonError, stamp: Stamp) -> Batch:
    """Return the batch with at least one more row refused: those with NUL, or else one found by halving.

    Raises:
        PoisonError: the same error, if no single row is at fault: each can be stored alone, but not all together.
    """
    for accepted in batch.accepted:
        found = _rows_with_nul(accepted)
        if not found:
            found = _row_by_halving(connection, batch, accepted, stamp)
        if found:
            return _refuse(batch, accepted, found, error)
    raise error


def _rows_with_nul(accepted: Accepted) -> list[int]:
    """Return the rows with NUL. Only stored columns count, so that a refusal does not depend on other rows."""
    frame = accepted.frame
    patterns = {
        column.name: _NUL_IN_JSON if isinstance(column.type, JSONB) else _NUL
        for column in aspect_tables(accepted.subject).stage.columns
        if frame.schema.get(column.name) == pl.String
    }
    has_nul = pl.any_horizontal(pl.col(name).str.contains(pattern) for name, pattern in patterns.items())
    return frame.filter(has_nul.fill_null(False))["row"].to_list()


def _row_by_halving(connection: Connection, batch: Batch, accepted: Accepted, stamp: Stamp) -> list[int]:
    rows = accepted.frame
    if _is_storable(connection, batch, replace(accepted, frame=rows), stamp):
        return []
    while rows.height > 1:
        half = rows.head(rows.height // 2)
        rows = (
            rows.tail(rows.height - half.height)
            if _is_storable(connection, batch, replace(accepted, frame=half), stamp)
            else half
        )
    # a row is refused only if it fails alone, never because of other rows
    is_innocent = _is_storable(connection, batch, replace(accepted, frame=rows), stamp)
    return [] if is_innocent else rows["row"].to_list()


def _is_storable(connection: Connection, batch: Batch, accepted: Accepted, stamp: Stamp) -> bool:
    """Try some rows in a transaction that is always rolled back."""
    subject = accepted.subject
    turned = with_event_order(accepted.frame.drop(ORDER_COLUMNS), aspect_tables(subject).identity)
    trial = replace(batch, accepted=(replace(accepted, frame=turned),), refused=batch.refused.clear())
    ensure_stages_of(connection, batch)
    transaction = connection.begin()
    try:
        with translated_errors("trying rows"):
            commit_batch(connection, trial, stamp)
    except PoisonError:
        return False
    finally:
        transaction.rollback()
    return True


def _refuse(batch: Batch, accepted: Accepted, rows: list[int], error: PoisonError) -> Batch:
    is_refused = pl.col("row").is_in(rows)
    wrong = accepted.frame.filter(is_refused).with_columns(
        outcome=pl.lit(Outcome.DEAD_LETTERED.value), reason=pl.lit(error.reason), detail=pl.lit(error.detail)
    )
    identity = aspect_tables(accepted.subject).identity
    kept = with_event_order(accepted.frame.filter(~is_refused).drop(ORDER_COLUMNS), identity)
    refused = audit_rows(wrong)
    letters = dead_letters(refused, wrong.select("row", "log", "log_offset", "key"), accepted.values, {})
    return replace(
        batch,
        accepted=tuple(replace(item, frame=kept) if item is accepted else item for item in batch.accepted),
        refused=pl.concat([batch.refused, refused]),
        dead_letters=pl.concat([batch.dead_letters, letters]),
    )
