"""First part of the merge: store each source's newest claim, create records for new keys, find the contested keys.

Each function builds one statement, named after what it decides, from an aspect's tables.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    Update,
    and_,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.dml import ReturningInsert

from hub.reconcile.rules.reused_versions import are_asked
from hub.reconcile.shared.identity import same_identity
from hub.warehouse.tables.aspect_columns import new_value, old_value
from hub.warehouse.tables.entities import AspectTables


@cache
def claims_written(tables: AspectTables) -> Select[Any]:
    """Store each source's newest claim, keep the old values in ``merged``, and create a record for each new key.

    Rows: one per (identity, source), the newest of the batch. Ties on (source_epoch, source_version) keep the stored
    claim. The claim that creates a record holds it. If the key already has a record, that record is not changed and the
    claim is contested.

    Returns counts of the written claims: all, newly inserted, contested, newly contested, with sensitive fields before,
    watched; the number of new records; and whether a question about a reused version is open.
    """
    merged, record = tables.merged, tables.record
    written = _newer_than_stored(tables).cte("written")
    names = [column.name for column in written.columns]
    watched = [old_value(name) for name in tables.aspect.watched]
    counted = ["inserted", "contested", "was_contested", *watched]
    counted += ["had_sensitive"] if tables.sensitive is not None else []
    noting = insert(merged).from_select(names, select(*(written.c[name] for name in names)))
    noted = noting.returning(*(merged.c[name] for name in counted)).cte("noted")
    held = [*tables.identity, "source"]
    fresh = postgresql.insert(record).from_select(
        held, select(*(written.c[name] for name in held)).where(written.c.inserted)
    )
    given = fresh.on_conflict_do_nothing().returning(record.c.key).cte("given")
    return select(
        func.count(),
        func.count().filter(noted.c.inserted),
        func.count().filter(noted.c.contested),
        func.count().filter(noted.c.contested, ~noted.c.was_contested),
        func.count().filter(noted.c.had_sensitive) if tables.sensitive is not None else literal(0),
        func.count().filter(or_(*(noted.c[name].is_not(None) for name in watched))) if watched else literal(0),
        select(func.count()).select_from(given).scalar_subquery(),
        are_asked(tables),
    ).select_from(noted)


def _newer_than_stored(tables: AspectTables) -> ReturningInsert[Any]:
    """Write the claims; return each with what it replaced, by the names of ``merged``."""
    claim, stage = tables.claim, tables.stage
    columns = [column.name for column in claim.columns]
    values = [stage.c.revoked if name == "contested" else stage.c[name] for name in columns]
    upsert = postgresql.insert(claim).from_select(columns, select(*values).where(stage.c.newest))
    excluded = upsert.excluded
    fixed = {*tables.identity, "source", "contested"}
    upsert = upsert.on_conflict_do_update(
        index_elements=[*tables.identity, "source"],
        set_={name: excluded[name] for name in columns if name not in fixed}
        | {"contested": or_(claim.c.contested, excluded.revoked)},
        where=tuple_(claim.c.source_epoch, claim.c.source_version)
        < tuple_(excluded.source_epoch, excluded.source_version),
    )
    return upsert.returning(
        *(claim.c[name] for name in tables.identity),
        claim.c.source,
        literal_column("old.source IS NULL", Boolean).label("inserted"),
        claim.c.contested,
        literal_column("coalesce(old.contested, false)", Boolean).label("was_contested"),
        literal_column("old.source_epoch").label("old_epoch"),
        literal_column("old.source_version").label("old_version"),
        literal_column("old.content_hash").label("old_hash"),
        *([literal_column("old.sensitive").label("had_sensitive")] if tables.sensitive is not None else []),
        *(literal_column(f"old.{name}").label(old_value(name)) for name in tables.aspect.watched),
        *(claim.c[name].label(new_value(name)) for name in tables.aspect.watched),
        *([_tracked_changed(tables).label("tracked_changed")] if tables.aspect.tracked else []),
    )


def _tracked_changed(tables: AspectTables) -> ColumnElement[bool]:
    return or_(
        *(literal_column(f"old.{name}").is_distinct_from(tables.claim.c[name]) for name in tables.aspect.tracked)
    )


def newly_contested(tables: AspectTables) -> ColumnElement[bool]:
    """Return whether a row of ``merged`` belongs to a claim that became contested in this batch.

    When a claim becomes contested, its rivals are marked in the same step; a rival that arrives later is new itself.
    """
    return and_(tables.merged.c.contested, ~tables.merged.c.was_contested)


@cache
def contested_by_new_claims(tables: AspectTables) -> Update:
    """Mark as contested the new claims of keys whose record another source holds."""
    record, merged = tables.record, tables.merged
    held_by_another = exists().where(
        same_identity(tables, record, merged), record.c.source.is_distinct_from(merged.c.source)
    )
    return update(merged).values(contested=True).where(merged.c.inserted, ~merged.c.contested, held_by_another)


@cache
def contested_with_rivals(tables: AspectTables) -> Update:
    """Mark as contested every claim that this batch wrote for a contested key."""
    merged, rival = tables.merged, tables.merged.alias("rival")
    has_contested_rival = exists().where(
        and_(*(rival.c[name] == merged.c[name] for name in tables.identity)), rival.c.contested
    )
    return update(merged).values(contested=True).where(~merged.c.contested, has_contested_rival)
