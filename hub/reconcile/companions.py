"""Data stored in addition to the claims: their sensitive fields, and the versions that are not a source's newest.

The history of an aspect is a set: every accepted version except the claim. The upsert's replaced claims and the
versions older than the claim are added to it. So it does not depend on the order of arrival (I4).
"""

from functools import cache

from sqlalchemy import Connection, Delete, Insert, Table, and_, delete, select, tuple_
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import distinct_on

from hub.reconcile.shared.identity import same_identity
from hub.warehouse.batch import ORDER_DUPLICATE, ORDER_REUSED
from hub.warehouse.tables.entities import AspectTables


@cache
def versions_to_be_replaced(tables: AspectTables, history: Table) -> Insert:
    """Keep the claims that newer rows of the batch will replace; locks them against other transactions."""
    claim, stage = tables.claim, tables.stage
    names = [column.name for column in history.columns]
    rows = (
        select(*(claim.c[name] for name in names))
        .join_from(claim, stage, and_(same_identity(tables, claim, stage), claim.c.source == stage.c.source))
        .where(
            stage.c.newest,
            tuple_(claim.c.source_epoch, claim.c.source_version) < tuple_(stage.c.source_epoch, stage.c.source_version),
        )
        .with_for_update(of=claim)
    ).cte("replaced")
    keeping = postgresql.insert(history).from_select(names, select(*(rows.c[name] for name in names)))
    return keeping.on_conflict_do_nothing()


@cache
def versions_older_than_claim(tables: AspectTables, history: Table) -> Insert:
    """Keep the batch's versions that did not become the claim; if a version was used twice, keep the first."""
    claim, stage = tables.claim, tables.stage
    names = [column.name for column in history.columns]
    version = (*(stage.c[name] for name in tables.identity), stage.c.source, stage.c.source_epoch)
    rows = (
        select(*(stage.c[name] for name in names))
        .ext(distinct_on(*version, stage.c.source_version))
        .join_from(stage, claim, and_(same_identity(tables, claim, stage), claim.c.source == stage.c.source))
        .where(
            stage.c.turn.not_in([ORDER_DUPLICATE, ORDER_REUSED]),
            tuple_(stage.c.source_epoch, stage.c.source_version) < tuple_(claim.c.source_epoch, claim.c.source_version),
        )
        .order_by(*version, stage.c.source_version, stage.c.log, stage.c.log_offset)
    )
    return postgresql.insert(history).from_select(names, rows).on_conflict_do_nothing()


def _written_rows(tables: AspectTables) -> list[object]:
    stage, merged = tables.stage, tables.merged
    return [stage.c.newest, same_identity(tables, stage, merged), stage.c.source == merged.c.source]


@cache
def sensitive_kept(tables: AspectTables, sensitive: Table) -> Insert:
    """Keep the sensitive fields of the claims that were written."""
    stage, merged = tables.stage, tables.merged
    names = [column.name for column in sensitive.columns]
    key = [*tables.identity, "source"]
    rows = (
        select(*(stage.c[name] for name in names))
        .select_from(stage.join(merged, and_(*_written_rows(tables))))  # type: ignore[arg-type]
        .where(stage.c.sensitive)
    )
    keeping = postgresql.insert(sensitive).from_select(names, rows)
    return keeping.on_conflict_do_update(
        index_elements=key, set_={name: keeping.excluded[name] for name in names if name not in key}
    )


@cache
def sensitive_given_up(tables: AspectTables, sensitive: Table) -> Delete:
    """Delete the sensitive companions of claims whose new version has no sensitive fields."""
    stage, merged = tables.stage, tables.merged
    return delete(sensitive).where(
        same_identity(tables, sensitive, merged),
        sensitive.c.source == merged.c.source,
        merged.c.had_sensitive,
        *_written_rows(tables),  # type: ignore[arg-type]
        ~stage.c.sensitive,
    )


def keep_versions_before(connection: Connection, tables: AspectTables) -> None:
    """Before the claims are written: keep what will be replaced."""
    if tables.history is not None:
        connection.execute(versions_to_be_replaced(tables, tables.history))


def keep_after(connection: Connection, tables: AspectTables, has_sensitive: bool, had_sensitive: int) -> None:
    """After the claims are written: keep late versions, and the sensitive fields.

    Args:
        connection: of the batch's transaction.
        tables: the aspect's.
        has_sensitive: whether any row of the batch has sensitive fields.
        had_sensitive: how many of the written claims had some before.
    """
    if tables.history is not None:
        connection.execute(versions_older_than_claim(tables, tables.history))
    if tables.sensitive is not None:
        if had_sensitive:
            connection.execute(sensitive_given_up(tables, tables.sensitive))
        if has_sensitive:
            connection.execute(sensitive_kept(tables, tables.sensitive))
