"""Third part of the merge: where a claim contradicts the record of a contested key, field by field."""

from collections.abc import Mapping
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

from hub.reconcile.decisions import is_kept, is_passed_over
from hub.reconcile.identity import contested_keys, part_text
from hub.warehouse.entity_tables import AspectTables, whole_claim
from hub.warehouse.tables import conflict, source


def _disagreements(tables: AspectTables) -> Select[Any]:
    """Rows (key, part, field, source, held_by): a claim that contradicts the record in one field, both values known.

    What a source said before its cut-over does not contradict what its successor says happened since: that is history.
    Nor does what an officer has seen and decided (hub.reconcile.decisions).
    """
    held, rival = whole_claim(tables, "held"), whole_claim(tables, "rival")
    record = tables.record
    keys = contested_keys(tables).subquery()
    pairs = (
        select(record.c.key)
        .select_from(keys)
        .join(record, and_(*(record.c[name] == keys.c[name] for name in tables.identity)))
        .join(
            held.source,
            and_(*(held.c[name] == record.c[name] for name in tables.identity), held.c["source"] == record.c.source),
        )
        .join(
            rival.source,
            and_(
                *(rival.c[name] == record.c[name] for name in tables.identity),
                rival.c["source"] != record.c.source,
                ~rival.c["revoked"],
            ),
        )
        .join(source, source.c.id == rival.c["source"])
        .where(_was_not_ended(held.c["occurred_at"]))
        .where(~is_passed_over(tables, part_text(tables, record), held.c, rival.c))
    )
    fields = [case((differs, literal(name, Text))) for name, differs in _differences(tables, held.c, rival.c)]
    rows = pairs.with_only_columns(
        rival.c["key"],
        part_text(tables, rival).label("part"),
        rival.c["source"],
        held.c["source"].label("held_by"),
        func.unnest(postgresql.array(fields)).label("field"),
        rival.c["content_hash"],
        source.c.code,
    ).subquery()
    return (
        select(rows.c.key, rows.c.part, rows.c.field, rows.c.source, rows.c.held_by)
        .where(rows.c.field.is_not(None))
        .where(~is_kept(tables, rows.c.part, rows.c.field, rows.c, rows.c.code))
    )


def _was_not_ended(occurred_at: ColumnElement[Any]) -> ColumnElement[bool]:
    """The rival's source, joined as ``source``, still spoke when the claim that holds the record was made."""
    return or_(source.c.valid_until.is_(None), occurred_at < source.c.valid_until)


_Values = Mapping[str, ColumnElement[Any]]
"""Columns of a whole claim, by name."""


def _differences(tables: AspectTables, held: _Values, rival: _Values) -> list[tuple[str, ColumnElement[bool]]]:
    """Return each compared field with the condition that the two claims contradict each other in it."""
    units = {unit.code for unit in tables.aspect.units}
    left_out = {*tables.aspect.part, *tables.aspect.not_compared, *tables.entity.key}
    found = []
    for name in (field.name for field in tables.data if field.name not in left_out):
        differs = held[name] != rival[name]
        if name in units:
            differs = and_(differs, held["unit_scheme"] == rival["unit_scheme"])
        found.append((name, differs))
    return found


@cache
def conflicts_opened(tables: AspectTables) -> Insert:
    """Open a conflict for each field in which a claim contradicts the record; one that was closed opens again.

    What stands already is left out: an upsert would lock its row, which is a write.
    """
    found = _disagreements(tables).subquery()
    names = ("key", "part", "field", "source", "held_by")
    # A scalar is looked up by key for each; EXISTS might become a join of all conflicts.
    standing = (
        select(literal(1))
        .where(conflict.c.aspect == tables.name, conflict.c.closed_at.is_(None))
        .where(*(conflict.c[name] == found.c[name] for name in names))
        .scalar_subquery()
    )
    opening = postgresql.insert(conflict).from_select(
        ["aspect", *names],
        select(literal(tables.name, Text), *(found.c[name] for name in names)).where(standing.is_(None)),
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


def _looked_up(tables: AspectTables, claim: Any) -> _Values:
    """Columns of a claim; each sensitive one is looked up for itself, only where it is needed."""
    columns: dict[str, ColumnElement[Any]] = {column.name: column for column in claim.c}
    companion = tables.sensitive
    if companion is None:
        return columns
    apart = companion.alias(f"{claim.name}_sensitive")
    same = and_(*(apart.c[name] == claim.c[name] for name in (*tables.identity, "source")))
    for column in apart.c:
        if column.name not in columns:
            columns[column.name] = select(column).where(same).scalar_subquery()
    return columns


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
        *(
            (conflict.c.field == name, differs)
            for name, differs in _differences(tables, _looked_up(tables, held), _looked_up(tables, rival))
        ),
        else_=false(),
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
        _was_not_ended(held.c.occurred_at),
        still_differs,
        ~is_passed_over(tables, conflict.c.part, held.c, rival.c),
        ~is_kept(tables, conflict.c.part, conflict.c.field, rival.c, source.c.code),
    )
    return (
        update(conflict)
        .values(closed_at=func.now())
        .where(conflict.c.aspect == tables.name, conflict.c.closed_at.is_(None))
        .where(conflict.c.key == keys.c.key, conflict.c.part == keys.c.part)
        .where(~stands)
    )
