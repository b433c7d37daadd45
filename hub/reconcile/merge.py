"""Commit one batch: claims, records, conflicts, reviews, audit rows and offsets, in one transaction (I2).

The caller owns the transaction and has created the stages before (``ensure_stages_of``); nothing here commits. The
fence comes first, so that a worker that lost a partition finds out before it does any work.
"""

from dataclasses import dataclass

import polars as pl
from sqlalchemy import BigInteger, Connection, Table, bindparam, select

from hub.reconcile import claims, companions, outcomes
from hub.reconcile.decide import Decided, decide
from hub.reconcile.fence import Stamp, begin_batch
from hub.reconcile.parking import releasing
from hub.reconcile.parking.holding_back import hold_back
from hub.reconcile.registry import RULES
from hub.reconcile.shared.republish import AuditPlace, job_place, republish_keys
from hub.reconcile.shared.stage import stage
from hub.reconcile.shared.step import Merge
from hub.warehouse.batch import Accepted, Batch
from hub.warehouse.copy import copy_rows
from hub.warehouse.tables.core import audit, dead_letter, release
from hub.warehouse.tables.entities import AspectTables, aspect_tables

TOLD_SHARE = 4
"""If more than a quarter of the newest rows were not applied, SQL computes every outcome."""
_BATCH_ID = bindparam("batch_id", type_=BigInteger)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a committed batch did: records consumed and claims written."""

    batch_id: int
    consumed: int
    claims_written: int


def commit_batch(connection: Connection, batch: Batch, stamp: Stamp) -> Merged:
    """Store a batch in the connection's transaction.

    Raises:
        ConcurrentUpdateError: another worker moved one of the partitions, or released the same parked records.
        ConfigError: another policy was applied since this worker started.
    """
    batch_id = begin_batch(connection, batch.advances, stamp)
    if batch.released:
        releasing.leave_parked(connection, batch)
    place = job_place(connection) if batch.released else None
    written = sum(_merge(connection, accepted, batch, batch_id, place) for accepted in batch.accepted)
    if not batch.refused.is_empty():
        into = release if batch.released else audit
        copy_rows(connection, into, batch.refused.with_columns(batch=pl.lit(batch_id, pl.Int64)))
        copy_rows(connection, dead_letter, batch.dead_letters)
    return Merged(batch_id, batch.consumed, written)


def _merge(connection: Connection, accepted: Accepted, batch: Batch, batch_id: int, job: AuditPlace | None) -> int:
    """Merge one subject's rows; return how many claims were written."""
    tables = aspect_tables(accepted.subject)
    stage(connection, accepted)
    accepted, waiting = hold_back(connection, accepted, batch.let_in)
    if not waiting.is_empty() and not batch.released:
        copy_rows(connection, audit, waiting.with_columns(batch=pl.lit(batch_id, pl.Int64)))
    if accepted.frame.is_empty():
        return 0
    merge = _write_claims(connection, tables, accepted, job)
    _audit(connection, merge, batch_id, release if batch.released else audit)
    if job is not None:
        republish_keys(connection, job, tables.entity.name, select(tables.merged.c.key))
    for rule in RULES:
        rule.after_merge(connection, merge)
    return merge.written


def _write_claims(connection: Connection, tables: AspectTables, accepted: Accepted, job: AuditPlace | None) -> Merge:
    """Write claims, their companions, records and conflicts."""
    companions.keep_versions_before(connection, tables)
    counts = connection.execute(claims.claims_written(tables)).one()
    written, inserted, contested, newly, had_sensitive, watched, given, asked = (int(count) for count in counts)
    has_sensitive = tables.sensitive is not None and bool(accepted.frame["sensitive"].any())
    companions.keep_after(connection, tables, has_sensitive, had_sensitive)
    if given < inserted:
        by_new = connection.execute(claims.contested_by_new_claims(tables)).rowcount
        contested, newly = contested + by_new, newly + by_new
    decided = Decided()
    if contested:
        newly += connection.execute(claims.contested_with_rivals(tables)).rowcount
        decided = decide(connection, tables, are_any_new=newly > 0)
    place = job or (accepted.frame["log"][0], accepted.frame["log_offset"][0])
    return Merge(tables, accepted, written, *decided, watched, bool(asked), place)


def _audit(connection: Connection, merge: Merge, batch_id: int, into: Table) -> None:
    """Write the outcome of every row of the stage.

    Newest rows that hold their record are copied in. SQL computes only the other outcomes, because that costs several
    times as much per row.
    """
    tables, frame, parameter = merge.tables, merge.accepted.frame, {"batch_id": batch_id}
    newest = int(frame["newest"].sum())
    to_tell = newest - merge.written + merge.superseded
    copies = into is audit and to_tell <= newest // TOLD_SHARE
    if copies:
        applied = frame if newest == frame.height else frame.filter("newest")
        if to_tell:
            telling = outcomes.newest_but_not_applied(tables, are_all_written=merge.written == newest)
            places = connection.execute(telling).all()
            told = pl.DataFrame(places, schema={"log": pl.Int16, "log_offset": pl.Int64}, orient="row")
            applied = applied.join(told, on=["log", "log_offset"], how="anti", maintain_order="left")
        copy_rows(connection, into, outcomes.applied(applied, batch_id))
    if merge.written and (to_tell or newest < frame.height or not copies):
        connection.execute(outcomes.audit_of_merged(tables, _BATCH_ID, into, without_applied=copies), parameter)
    if merge.written < newest:
        connection.execute(outcomes.audit_of_unwritten(tables, _BATCH_ID, into), parameter)
