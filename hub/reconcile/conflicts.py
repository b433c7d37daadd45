"""Third part of the merge: where a claim contradicts the record of a contested key, field by field."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Insert,
    Select,
    Text,
    Update,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from hub.reconcile.identity import contested_keys, part_text
from hub.warehouse.entity_tables import AspectTables
from hub.warehouse.tables import conflict, source


def _disagreements(tables: AspectTables) -> Select[Any]:
    """Rows (key, part, field, source, held_by): a claim that contradicts the record in one field, both values known.

    What a source said before its cut-over does not contradict what its successor says happened since: that is history.
    """
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
        .join(source, source.c.id == rival.c.source)
        .where(_was_not_ended(held))
    )
    fields = [case((differs, literal(name, Text))) for name, differs in _differences(tables, held, rival)]
    rows = pairs.with_only_columns(
        rival.c.key,
        part_text(tables, rival).label("part"),  # type: ignore[arg-type]
        rival.c.source,
        held.c.source.label("held_by"),
        func.unnest(postgresql.array(fields)).label("field"),
    ).subquery()
    return select(rows.c.key, rows.c.part, rows.c.field, rows.c.source, rows.c.held_by).where(rows.c.field.is_not(None))


def _was_not_ended(held: Any) -> ColumnElement[bool]:
    """The rival's source, joined as ``source``, still spoke when the claim that holds the record was made."""
    return or_(source.c.valid_until.is_(None), held.c.occurred_at < source.c.valid_until)


def _differences(tables: AspectTables, held: Any, rival: Any) -> list[tuple[str, ColumnElement[bool]]]:
    """Return each compared field with the condition that the two claims contradict each other in it."""
    units = {unit.code for unit in tables.aspect.units}
    left_out = {*tables.aspect.part, *tables.aspect.not_compared, *tables.entity.key}
    found = []
    for name in (field.name for field in tables.data if field.name not in left_out):
        differs = held.c[name] != rival.c[name]
        if name in units:
            differs = and_(differs, held.c.unit_scheme == rival.c.unit_scheme)
        found.append((name, differs))
    return found


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
    """Close the conflicts of contested keys that no longer stand.

    Each open conflict is looked up by key: its cost does not depend on how many others the batch has.
    """
    held, rival, record = tables.claim.alias("held"), tables.claim.alias("rival"), tables.record
    keys = (
        select(tables.merged.c.key, part_text(tables, tables.merged).label("part"))
        .where(tables.merged.c.contested)
        .distinct()
        .subquery()
    )
    still_differs = case(
        *((conflict.c.field == name, differs) for name, differs in _differences(tables, held, rival)), else_=false()
    )
    stands = exists().where(
        record.c.key == conflict.c.key,
        part_text(tables, record) == conflict.c.part,
        *(held.c[name] == record.c[name] for name in tables.identity),
        held.c.source == record.c.source,
        *(rival.c[name] == record.c[name] for name in tables.identity),
        rival.c.source == conflict.c.source,
        rival.c.source != record.c.source,
        ~rival.c.revoked,
        source.c.id == rival.c.source,
        _was_not_ended(held),
        still_differs,
    )
    return (
        update(conflict)
        .values(closed_at=func.now())
        .where(conflict.c.aspect == tables.name, conflict.c.closed_at.is_(None))
        .where(conflict.c.key == keys.c.key, conflict.c.part == keys.c.part)
        .where(~stands)
    )
