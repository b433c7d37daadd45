"""Third part of the merge: where a claim contradicts the record of a contested key, field by field."""

from functools import cache
from typing import Any

from sqlalchemy import Insert, Select, Text, Update, and_, case, exists, func, literal, null, or_, select, update
from sqlalchemy.dialects import postgresql

from hub.reconcile.identity import contested_keys, part_text
from hub.warehouse.entity_tables import AspectTables
from hub.warehouse.tables import conflict


def _disagreements(tables: AspectTables) -> Select[Any]:
    """Rows (key, part, field, source, held_by): a claim that contradicts the record in one field, both values known."""
    held, rival = tables.claim.alias("held"), tables.claim.alias("rival")
    record = tables.record
    keys = contested_keys(tables).subquery()
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
