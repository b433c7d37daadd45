"""Second part of the merge: decide whose claim holds the record of a contested key.

This is correct if two transactions touch the same key at the same time, which happens if its events are in two
partitions. A claim that becomes contested locks the record's row and its rivals' rows before anything is decided, and
each statement sees what was committed before it began. An uncontested claim meets another transaction only through the
row lock of its own claim.
"""

from functools import cache
from typing import Any

from sqlalchemy import Select, Update, and_, case, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import distinct_on

from hub.reconcile.claims import newly_contested
from hub.reconcile.shared.decisions import decisions_settled, taken_at
from hub.reconcile.shared.identity import contested_keys
from hub.warehouse.tables.core import authority, source
from hub.warehouse.tables.entities import AspectTables


@cache
def records_locked(tables: AspectTables) -> Select[int, str]:
    """Lock the records of contested keys, in key order: the next transaction that decides them waits.

    This also waits for officers' decisions that are being merged: later statements see them.
    """
    keys = contested_keys(tables).subquery()
    record = tables.record
    locked = (
        select(record.c.key)
        .join(keys, and_(*(record.c[name] == keys.c[name] for name in tables.identity)))
        .order_by(*(record.c[name] for name in tables.identity))
        .with_for_update(of=record)
    ).cte("locked")
    return select(func.count(), decisions_settled()).select_from(locked)


@cache
def rivals_marked(tables: AspectTables) -> Update:
    """Mark every claim of a newly contested key: its next change is decided among rivals. Waits for writers."""
    claim, merged = tables.claim, tables.merged
    keys = select(*(merged.c[name] for name in tables.identity)).where(newly_contested(tables)).distinct().subquery()
    return (
        update(claim)
        .values(contested=True)
        .where(and_(*(claim.c[name] == keys.c[name] for name in tables.identity)), ~claim.c.contested)
    )


@cache
def records_decided(tables: AspectTables) -> Select[int, int]:
    """Let the highest authority hold the record: rank, then the later ``occurred_at``, then the source's code.

    A claim that an officer took comes before rank (hub.reconcile.shared.decisions); of several, the last one taken.
    Revoked claims hold nothing; if all claims of a key are revoked, nobody holds its record.

    Notes two things in ``merged`` for contested claims: whether they hold the record (applied, else superseded), and
    whether the record moved, which means that a different claim holds it than before. If a source withdraws its claim
    and no claim is left, the source holds the (empty) record: its event is applied. Selects how many claims hold no
    record, and how many belong to records that moved.
    """
    merged, record = tables.merged, tables.record
    decided = _best_sources(tables).cte("decided")
    has_moved = decided.c.before.is_distinct_from(decided.c.source)
    moving = (
        update(record)
        .values(source=decided.c.source)
        .where(and_(*(record.c[name] == decided.c[name] for name in tables.identity)), has_moved)
        .cte("moving")
    )
    noted = (
        update(merged)
        .values(held=func.coalesce(decided.c.source == merged.c.source, true()), moved=or_(merged.c.moved, has_moved))
        .where(merged.c.contested, *(decided.c[name] == merged.c[name] for name in tables.identity))
        .returning(merged.c.held, merged.c.moved)
        .cte("noted")
    )
    counts = select(func.count().filter(~noted.c.held), func.count().filter(noted.c.moved))
    return counts.select_from(noted).add_cte(moving)


def _best_sources(tables: AspectTables) -> Select[Any]:
    """Select each contested key's identity, the source that held its record before, and the source that will hold it.

    A source to which the policy gives no rank holds nothing.
    """
    claim, record = tables.claim, tables.record
    keys = contested_keys(tables).subquery()
    identity = [record.c[name] for name in tables.identity]
    of_record = and_(*(claim.c[name] == record.c[name] for name in tables.identity), ~claim.c.revoked)
    ranked = and_(authority.c.source == claim.c.source, authority.c.aspect == tables.name)
    return (
        select(
            *identity,
            record.c.source.label("before"),
            case((authority.c.rank.is_not(None), claim.c.source)).label("source"),
        )
        .join_from(keys, record, and_(*(record.c[name] == keys.c[name] for name in tables.identity)))
        .outerjoin(claim, of_record)
        .outerjoin(authority, ranked)
        .outerjoin(source, source.c.id == claim.c.source)
        .ext(distinct_on(*identity))
        .order_by(
            *identity,
            authority.c.rank.is_(None),
            taken_at(tables, claim, source.c.code).desc().nulls_last(),
            authority.c.rank,
            claim.c.occurred_at.desc(),
            source.c.code.collate("C"),
        )
    )
