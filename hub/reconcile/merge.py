"""Commit one batch: claims, records, conflicts, reviews, audit rows and offsets, in one transaction (I2).

The caller owns the transaction and has the stages made beforehand (``ensure_stages``); nothing here commits. The
fence comes first, so that a worker which lost a partition finds out before it does any work.
"""

from dataclasses import dataclass

import polars as pl
from sqlalchemy import BigInteger, Connection, bindparam, insert

from hub.reconcile import claims, conflicts, outcomes, records, reviews
from hub.reconcile.staging import stage
from hub.warehouse.batch import Accepted, Batch
from hub.warehouse.copy import copy_rows
from hub.warehouse.entity_tables import AspectTables, aspect_tables
from hub.warehouse.offsets import advance_positions
from hub.warehouse.tables import audit, batch, dead_letter

_BATCH_ID = bindparam("batch_id", type_=BigInteger)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who commits, and under which policy: stored with every batch."""

    worker: str
    policy_digest: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What a committed batch did: records consumed and claims written."""

    batch_id: int
    consumed: int
    claims_written: int


def commit_batch(connection: Connection, of: Batch, stamp: Stamp) -> Merged:
    """Store a batch in the connection's transaction.

    Raises:
        ConcurrentUpdateError: another worker moved one of the partitions.
    """
    advance_positions(connection, of.advances)
    batch_id = connection.execute(
        insert(batch).values(worker=stamp.worker, policy_digest=stamp.policy_digest).returning(batch.c.id)
    ).scalar_one()
    written = sum(_merge(connection, accepted, batch_id) for accepted in of.accepted)
    if not of.refused.is_empty():
        copy_rows(connection, audit, of.refused.with_columns(batch=pl.lit(batch_id, pl.Int64)))
        copy_rows(connection, dead_letter, of.dead_letters)
    return Merged(batch_id, of.consumed, written)


def _merge(connection: Connection, accepted: Accepted, batch_id: int) -> int:
    """Merge one subject's rows; return how many claims were written."""
    tables = aspect_tables(accepted.subject)
    stage(connection, accepted)
    connection.execute(claims.claims_newer_than_stored(tables))
    written, inserted, contested = connection.execute(claims.counts_of_merged(tables)).one()
    if inserted:
        fresh = connection.execute(claims.records_of_new_keys(tables)).rowcount
        if fresh < inserted:
            contested += connection.execute(claims.contested_by_new_claims(tables)).rowcount
    if contested:
        _decide(connection, tables)
    newest = int(accepted.frame["newest"].sum())
    batch_parameter = {"batch_id": batch_id}
    if written:
        connection.execute(outcomes.audit_of_merged(tables, _BATCH_ID), batch_parameter)
    if written < newest:
        connection.execute(outcomes.audit_of_unwritten(tables, _BATCH_ID), batch_parameter)
    reviews.refresh(connection, tables, written)
    return int(written)


def _decide(connection: Connection, tables: AspectTables) -> None:
    """Decide the records of contested keys anew, then which fields are in conflict."""
    connection.execute(claims.contested_with_rivals(tables))
    connection.execute(records.records_locked(tables))
    connection.execute(records.rivals_marked(tables))
    connection.execute(records.records_decided(tables))
    connection.execute(records.holders_noted(tables))
    connection.execute(conflicts.conflicts_opened(tables))
    connection.execute(conflicts.conflicts_closed(tables))
