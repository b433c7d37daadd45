"""Third part of the merge: find where a claim contradicts the record of a contested key, field by field."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    SmallInteger,
    Text,
    Update,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql

from hub.reconcile.shared.decisions import is_kept, is_passed_over
from hub.reconcile.shared.identity import contested_keys, part_text
from hub.warehouse.equal_texts import values_differ
from hub.warehouse.tables.core import conflict, source
from hub.warehouse.tables.entities import AspectTables, WholeClaim, whole_claim

_IDENTITY = ("key", "part", "field", "source")


def _disagreements(tables: AspectTables) -> Select[Any]:
    """Rows (key, part, field, source, held_by): a claim that contradicts the record in one field, both known.

    Two things are not contradictions: what a source said before its cut-over against what its successor says happened
    later (that is history), and what an officer has seen and decided (hub.reconcile.shared.decisions).
    """
    held, rival = whole_claim(tables, "held"), whole_claim(tables, "rival")
    fields = [case((differs, literal(name, Text))) for name, differs in _differences(tables, held.c, rival.c)]
    rows = (
        _rivalries(tables, held, rival)
        .with_only_columns(
            rival.c["key"],
            part_text(tables, rival).label("part"),
            rival.c["source"],
            held.c["source"].label("held_by"),
            func.unnest(postgresql.array(fields)).label("field"),
            rival.c["content_hash"],
            source.c.code,
        )
        .subquery()
    )
    return (
        select(rows.c.key, rows.c.part, rows.c.field, rows.c.source, rows.c.held_by)
        .where(rows.c.field.is_not(None))
        .where(~is_kept(tables, rows.c.part, rows.c.field, rows.c, rows.c.code))
    )


def _rivalries(tables: AspectTables, held: WholeClaim, rival: WholeClaim) -> Select[Any]:
    """Select the contested records, the claim that holds each, and every other claim that may contradict it."""
    record, keys = tables.record, contested_keys(tables).subquery()
    holds = and_(*(held.c[name] == record.c[name] for name in tables.identity), held.c["source"] == record.c.source)
    is_rival = and_(
        *(rival.c[name] == record.c[name] for name in tables.identity),
        rival.c["source"] != record.c.source,
        ~rival.c["revoked"],
    )
    return (
        select(record.c.key)
        .join_from(keys, record, and_(*(record.c[name] == keys.c[name] for name in tables.identity)))
        .join(held.source, holds)
        .join(rival.source, is_rival)
        .join(source, source.c.id == rival.c["source"])
        .where(_was_not_ended(held.c["occurred_at"]))
        .where(~is_passed_over(tables, part_text(tables, record), held.c, rival.c))
    )


def _was_not_ended(occurred_at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether the rival's source, joined as ``source``, was still valid when the holder's event occurred."""
    return or_(source.c.valid_until.is_(None), occurred_at < source.c.valid_until)


_Values = Mapping[str, ColumnElement[Any]]
"""Columns of a whole claim, by name."""


def _differences(tables: AspectTables, held: _Values, rival: _Values) -> list[tuple[str, ColumnElement[bool]]]:
    """Return each compared field with the condition that the two claims contradict each other in it.

    Different spellings of a text are not contradictions: composed or decomposed letters and, in names, the tone's
    position.
    """
    units = {unit.code for unit in tables.aspect.units}
    left_out = {*tables.aspect.part, *tables.aspect.not_compared, *tables.entity.key}
    found = []
    for field in (field for field in tables.data if field.name not in left_out):
        name = field.name
        differs = values_differ(field, held[name], rival[name], name in tables.aspect.names)
        if name in units:
            differs = and_(differs, held["unit_scheme"] == rival["unit_scheme"])
        found.append((name, differs))
    return found


def _open_ones(tables: AspectTables) -> Select[Any]:
    """Rows (key, part, field, source, held_by): the open conflicts of contested keys, each looked up by its key."""
    keys = contested_keys(tables).subquery()
    same = and_(
        conflict.c.aspect == tables.name, conflict.c.key == keys.c.key, conflict.c.part == part_text(tables, keys)
    )
    return (
        select(*(conflict.c[name] for name in (*_IDENTITY, "held_by")))
        .join_from(keys, conflict, same)
        .where(conflict.c.closed_at.is_(None))
    )


def _changed(tables: AspectTables) -> CTE:
    """Rows (key, part, field, source, was, now): who held the record in a conflict before and now; null: no conflict.

    Old and new rows are combined by UNION ALL and grouped. A join would depend on the planner, which knows the size of
    neither.
    """
    was, now = _open_ones(tables).subquery("before"), _disagreements(tables).subquery("found")
    nobody = cast(null(), SmallInteger)
    both = union_all(
        select(*(was.c[name] for name in _IDENTITY), was.c.held_by.label("was"), nobody.label("now")),
        select(*(now.c[name] for name in _IDENTITY), nobody.label("was"), now.c.held_by.label("now")),
    ).subquery("both")
    before, after = func.max(both.c.was), func.max(both.c.now)
    identity = [both.c[name] for name in _IDENTITY]
    return (
        select(*identity, before.label("was"), after.label("now"))
        .group_by(*identity)
        .having(before.is_distinct_from(after))
        .cte("changed")
    )


@cache
def conflicts_settled(tables: AspectTables) -> Update:
    """Open a conflict for each field in which a claim contradicts the record; close conflicts that no longer exist.

    A closed conflict can open again. An open conflict that still exists is not changed.
    """
    changed = _changed(tables)
    rows = select(literal(tables.name, Text), *(changed.c[name] for name in _IDENTITY), changed.c.now)
    opening = postgresql.insert(conflict).from_select(
        ["aspect", *_IDENTITY, "held_by"], rows.where(changed.c.now.is_not(None))
    )
    opening = opening.on_conflict_do_update(
        index_elements=["aspect", *_IDENTITY],
        set_={
            "held_by": opening.excluded.held_by,
            "opened_at": case((conflict.c.closed_at.is_(None), conflict.c.opened_at), else_=func.now()),
            "closed_at": null(),
        },
    )
    return (
        update(conflict)
        .values(closed_at=func.now())
        .where(conflict.c.aspect == tables.name, conflict.c.closed_at.is_(None), changed.c.now.is_(None))
        .where(*(conflict.c[name] == changed.c[name] for name in _IDENTITY))
        .add_cte(opening.cte("opening"))
    )
