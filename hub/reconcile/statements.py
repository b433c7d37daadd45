"""The statements of the merge, each named for what it decides. One builder per statement; all take an aspect's tables.

They run in this order on one connection, inside one transaction (I2); ``hub.reconcile.merge`` calls them. Correctness when two
transactions touch the same key at once (a key whose events lie in two partitions) rests on row locks: a claim that becomes contested
locks its rivals' rows and the record's row before anything is decided, and each statement sees what was committed before it began.
"""

from functools import cache

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Delete,
    Insert,
    Select,
    Table,
    Text,
    Update,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql

from hub.model.outcomes import Outcome, Reason
from hub.warehouse.batch import TURN_DUPLICATE, TURN_REUSED, TURN_STALE
from hub.warehouse.entity_tables import AspectTables
from hub.warehouse.tables import audit, authority, conflict, outcome_type


def _same_identity(tables: AspectTables, left: Table, right: Table) -> ColumnElement[bool]:
    return and_(*(left.c[name] == right.c[name] for name in tables.identity))


def part_text(tables: AspectTables, of: Table) -> ColumnElement[str]:
    """Return the aspect's parts as one text, empty when it has none: how conflicts and reviews name them."""
    if not tables.aspect.part:
        return literal("", Text)
    return func.concat_ws("|", *(cast(of.c[name], Text) for name in tables.aspect.part))


@cache
def claims_newer_than_stored(tables: AspectTables) -> Insert:
    """Keep each source's newest claim, and note in ``merged`` what was there before.

    Rows: one per (identity, source), the newest of the batch. Ties on (source_epoch, source_version) keep the stored claim.
    """
    claim, stage, merged = tables.claim, tables.stage, tables.merged
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
    returning = upsert.returning(
        *(claim.c[name] for name in tables.identity),
        claim.c.source,
        literal_column("old.source IS NULL").label("inserted"),
        claim.c.contested,
        literal_column("old.source_epoch").label("old_epoch"),
        literal_column("old.source_version").label("old_version"),
        literal_column("old.content_hash").label("old_hash"),
    ).cte("written")
    names = [*tables.identity, "source", "inserted", "contested", "old_epoch", "old_version", "old_hash"]
    return insert(merged).from_select(names, select(*(returning.c[name] for name in names)))


@cache
def counts_of_merged(tables: AspectTables) -> Select[tuple[int, int, int]]:
    """Count what the upsert wrote: all, newly inserted, contested."""
    merged = tables.merged
    return select(
        func.count(),
        func.count().filter(merged.c.inserted),
        func.count().filter(merged.c.contested),
    ).select_from(merged)


@cache
def records_of_new_keys(tables: AspectTables) -> Insert:
    """Give each new key a record, held by the claim that brought it. A key that has one already is left alone: it is contested."""
    record, merged = tables.record, tables.merged
    names = [*tables.identity, "source"]
    rows = select(*(merged.c[name] for name in names)).where(merged.c.inserted)
    return postgresql.insert(record).from_select(names, rows).on_conflict_do_nothing()


@cache
def contested_by_new_claims(tables: AspectTables) -> Update:
    """Mark as contested the new claims of keys whose record another source holds."""
    record, merged = tables.record, tables.merged
    held_by_another = exists().where(
        _same_identity(tables, record, merged), record.c.source.is_distinct_from(merged.c.source)
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


def _contested(tables: AspectTables) -> Select[tuple[object, ...]]:
    merged = tables.merged
    return select(*(merged.c[column] for column in tables.identity)).where(merged.c.contested).distinct()


@cache
def records_locked(tables: AspectTables) -> Select[tuple[int]]:
    """Lock the records of contested keys, in key order: whoever decides next waits."""
    keys = _contested(tables).subquery()
    record = tables.record
    locked = (
        select(record.c.key)
        .join(keys, and_(*(record.c[name] == keys.c[name] for name in tables.identity)))
        .order_by(*(record.c[name] for name in tables.identity))
        .with_for_update(of=record)
    ).cte("locked")
    return select(func.count()).select_from(locked)


@cache
def rivals_marked(tables: AspectTables) -> Update:
    """Mark every claim of a contested key, so that its next change is decided among rivals; waits for writers of those claims."""
    claim = tables.claim
    keys = _contested(tables).subquery()
    return (
        update(claim)
        .values(contested=True)
        .where(and_(*(claim.c[name] == keys.c[name] for name in tables.identity)), ~claim.c.contested)
    )


@cache
def records_decided(tables: AspectTables) -> Update:
    """Let the highest authority hold the record: rank, then the later ``occurred_at``, then the lower source number.

    Revoked claims hold nothing; a key whose claims are all revoked has a record held by nobody.
    """
    claim, record = tables.claim, tables.record
    keys = _contested(tables).subquery()
    best = (
        select(claim.c.source)
        .join(authority, and_(authority.c.source == claim.c.source, authority.c.aspect == tables.name))
        .where(_same_identity(tables, claim, record), ~claim.c.revoked)
        .order_by(authority.c.rank, claim.c.occurred_at.desc(), claim.c.source)
        .limit(1)
        .scalar_subquery()
        .correlate(record)
    )
    return (
        update(record)
        .values(source=best)
        .where(and_(*(record.c[name] == keys.c[name] for name in tables.identity)))
        .where(record.c.source.is_distinct_from(best))
    )


@cache
def holders_noted(tables: AspectTables) -> Update:
    """Note for contested claims whether they hold the record: applied or superseded.

    A source that takes its claim back and leaves nobody holds the (empty) record: its event is applied.
    """
    merged, record = tables.merged, tables.record
    return (
        update(merged)
        .values(held=func.coalesce(record.c.source == merged.c.source, true()))
        .where(merged.c.contested, _same_identity(tables, record, merged))
    )


def _disagreements(tables: AspectTables) -> CompoundSelect[tuple[object, ...]] | Select[tuple[object, ...]]:
    """Rows (key, part, field, source, held_by): a claim that contradicts the record in one field, both values known."""
    held, rival = tables.claim.alias("held"), tables.claim.alias("rival")
    record = tables.record
    keys = _contested(tables).subquery()
    pairs = (
        select(held, rival)
        .select_from(keys)
        .join(record, and_(*(record.c[name] == keys.c[name] for name in tables.identity)))
        .join(
            held, and_(*(held.c[name] == record.c[name] for name in tables.identity), held.c.source == record.c.source)
        )
        .join(
            rival,
            and_(
                *(rival.c[name] == record.c[name] for name in tables.identity),
                rival.c.source != record.c.source,
                ~rival.c.revoked,
            ),
        )
    )
    compared = [
        field.name
        for field in tables.data
        if field.name not in {*tables.aspect.part, *tables.aspect.not_compared, *tables.entity.key}
    ]
    units = {unit.code for unit in tables.aspect.units}
    fields = []
    for name in compared:
        differs = held.c[name] != rival.c[name]
        if name in units:
            differs = and_(differs, held.c.unit_scheme == rival.c.unit_scheme)
        fields.append(case((differs, literal(name, Text))))
    rows = pairs.with_only_columns(
        rival.c.key,
        part_text(tables, rival).label("part"),  # type: ignore[arg-type]
        rival.c.source,
        held.c.source.label("held_by"),
        func.unnest(postgresql.array(fields)).label("field"),
    ).subquery()
    return select(rows.c.key, rows.c.part, rows.c.field, rows.c.source, rows.c.held_by).where(rows.c.field.is_not(None))


@cache
def conflicts_opened(tables: AspectTables) -> Insert:
    """Open a conflict for each field in which a claim contradicts the record; one that was closed opens again."""
    found = _disagreements(tables).subquery()
    opening = postgresql.insert(conflict).from_select(
        ["aspect", "key", "part", "field", "source", "held_by"],
        select(literal(tables.name, Text), found.c.key, found.c.part, found.c.field, found.c.source, found.c.held_by),
    )
    return opening.on_conflict_do_update(
        index_elements=["aspect", "key", "part", "field", "source"],
        set_={
            "held_by": opening.excluded.held_by,
            "opened_at": case((conflict.c.closed_at.is_(None), conflict.c.opened_at), else_=func.now()),
            "closed_at": null(),
        },
        where=or_(conflict.c.closed_at.is_not(None), conflict.c.held_by != opening.excluded.held_by),
    )


@cache
def conflicts_closed(tables: AspectTables) -> Update:
    """Close the conflicts of contested keys that no longer stand."""
    found = _disagreements(tables).subquery()
    keys = (
        select(tables.merged.c.key, part_text(tables, tables.merged).label("part"))
        .where(tables.merged.c.contested)
        .distinct()
        .subquery()
    )
    return (
        update(conflict)
        .values(closed_at=func.now())
        .where(conflict.c.aspect == tables.name, conflict.c.closed_at.is_(None))
        .where(conflict.c.key == keys.c.key, conflict.c.part == keys.c.part)
        .where(
            ~exists().where(
                found.c.key == conflict.c.key,
                found.c.part == conflict.c.part,
                found.c.field == conflict.c.field,
                found.c.source == conflict.c.source,
            )
        )
    )


def _audit_rows(
    tables: AspectTables, batch: ColumnElement[int], outcome: ColumnElement[str], reason: ColumnElement[str]
) -> Select[tuple[object, ...]]:
    stage = tables.stage
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
        reason,
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
]


def _against(
    tables: AspectTables, epoch: ColumnElement[int], version: ColumnElement[int], content_hash: ColumnElement[int]
) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    """Return: is the staged row older than, the same event as, another content under the version of, what was stored before."""
    stage = tables.stage
    mine, stored = tuple_(stage.c.source_epoch, stage.c.source_version), tuple_(epoch, version)
    same = mine == stored
    return (
        mine < stored,
        and_(same, stage.c.content_hash == content_hash),
        and_(same, stage.c.content_hash != content_hash),
    )


@cache
def audit_of_merged(tables: AspectTables, batch_id: ColumnElement[int]) -> Insert:
    """Audit the rows of every (identity, source) whose claim was written."""
    stage, merged = tables.stage, tables.merged
    older, repeated, reused = _against(tables, merged.c.old_epoch, merged.c.old_version, merged.c.old_hash)
    outcome = case(
        (older, Outcome.STALE.value),
        (repeated, Outcome.DUPLICATE.value),
        (reused, Outcome.REJECTED.value),
        (stage.c.turn == TURN_STALE, Outcome.STALE.value),
        (stage.c.turn == TURN_DUPLICATE, Outcome.DUPLICATE.value),
        (stage.c.turn == TURN_REUSED, Outcome.REJECTED.value),
        (merged.c.held, Outcome.APPLIED.value),
        else_=Outcome.SUPERSEDED.value,
    )
    is_reused = and_(~func.coalesce(or_(older, repeated), False), or_(reused, stage.c.turn == TURN_REUSED))
    reason = case((is_reused, Reason.VERSION_REUSED.value))
    rows = _audit_rows(tables, batch_id, outcome, reason).join_from(
        stage, merged, and_(_same_identity(tables, stage, merged), stage.c.source == merged.c.source)
    )
    return insert(audit).from_select(_AUDIT_COLUMNS, rows)


@cache
def audit_of_unwritten(tables: AspectTables, batch_id: ColumnElement[int]) -> Insert:
    """Audit the rows of every (identity, source) whose stored claim was at least as new: stale, duplicate or a reused version."""
    stage, merged, claim = tables.stage, tables.merged, tables.claim
    older, repeated, reused = _against(tables, claim.c.source_epoch, claim.c.source_version, claim.c.content_hash)
    outcome = case(
        (older, Outcome.STALE.value),
        (repeated, Outcome.DUPLICATE.value),
        else_=Outcome.REJECTED.value,
    )
    rows = (
        _audit_rows(tables, batch_id, outcome, case((reused, Reason.VERSION_REUSED.value)))
        .join_from(stage, claim, and_(_same_identity(tables, stage, claim), stage.c.source == claim.c.source))
        .where(
            ~exists().where(_same_identity(tables, merged, stage), merged.c.source == stage.c.source),
        )
    )
    return insert(audit).from_select(_AUDIT_COLUMNS, rows)


@cache
def stage_emptied(tables: AspectTables) -> Delete:
    """Empty the stage within a transaction, for a second batch of the same aspect."""
    return delete(tables.stage)
