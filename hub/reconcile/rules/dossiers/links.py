"""Dossiers that belong together: an interlinked procedure's dossier and those that were split from it.

A filing names the dossier from which it was split (``linked_parent_code``). The birth of a child (2.002621) or a death
(2.002622) has one parent dossier, and one dossier for each agency that takes part. Links are read from the filings that
hold the records, so a link lasts as long as its source states it.
"""

from functools import cache
from typing import Any

from sqlalchemy import FromClause, Select, Text, Uuid, and_, bindparam, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from hub.model.entities import DOSSIER
from hub.reconcile.rules.dossiers.versions import submission_tables
from hub.warehouse.tables.aspect_columns import other_key
from hub.warehouse.tables.core import same_key

PARENT, CHILD, SIBLING = "PARENT", "CHILD", "SIBLING"
_PARENT_KEY = other_key("linked_parent_code")


@cache
def linked_dossiers() -> Select[Any]:
    """Select the dossiers linked to ``:keys``: asked, relation, key, dossier_code, procedure_code, linked_group.

    Every code of a dossier counts, whichever of them another dossier names. A parent of which only the code is known
    has that code and no procedure.
    """
    asked = select(func.unnest(bindparam("keys", type_=ARRAY(Uuid))).label("asked")).subquery("asked")
    mine = _members(select(asked.c.asked, asked.c.asked.label("key")).subquery("alone"), "mine")
    parents = _parents_of(mine)
    of_parent = _members(select(parents.c.asked, parents.c.key).subquery("parent_alone"), "parents")
    siblings = _children_of(of_parent, SIBLING).subquery("siblings")
    is_itself = select(mine.c.key).where(mine.c.asked == siblings.c.asked)
    found = union_all(
        select(parents),
        _children_of(mine, CHILD),
        select(siblings).where(siblings.c.key.not_in(is_itself)),
    ).subquery("found")
    return select(found).distinct().order_by(found.c.asked, found.c.relation, found.c.dossier_code, found.c.key)


def _members(alone: FromClause, name: str) -> FromClause:
    """Each key and every other key of the same dossier (hub.reconcile.rules.links)."""
    me, member = same_key.alias(f"{name}_me"), same_key.alias(f"{name}_member")
    of_me = and_(me.c.entity == DOSSIER.name, me.c.key == alone.c.key)
    of_group = and_(member.c.entity == DOSSIER.name, member.c.canonical == me.c.canonical)
    joined = alone.outerjoin(me, of_me).outerjoin(member, of_group)
    key = func.coalesce(member.c.key, alone.c.key).label("key")
    return select(alone.c.asked, key).select_from(joined).cte(name)


def _held(name: str) -> tuple[FromClause, FromClause]:
    """The filings that hold the records, and the FROM clause."""
    tables = submission_tables()
    filed, held = tables.claim.alias(name), tables.record.alias(f"{name}_held")
    return filed, filed.join(held, and_(held.c.key == filed.c.key, held.c.source == filed.c.source))


def _parents_of(mine: FromClause) -> FromClause:
    filed, held = _held("mine_filed")
    parent_filed, parent_held = _held("parent_filed")
    known = select(parent_filed.c.key, parent_filed.c.procedure_code).select_from(parent_held).subquery("known_parent")
    return (
        select(
            mine.c.asked,
            literal(PARENT, Text).label("relation"),
            filed.c[_PARENT_KEY].label("key"),
            filed.c.linked_parent_code.label("dossier_code"),
            known.c.procedure_code,
            filed.c.linked_group,
        )
        .select_from(mine.join(held, filed.c.key == mine.c.key).outerjoin(known, known.c.key == filed.c[_PARENT_KEY]))
        .where(filed.c[_PARENT_KEY].is_not(None))
        .cte("parent_links")
    )


def _children_of(table: FromClause, relation: str) -> Select[Any]:
    filed, held = _held(f"{relation.lower()}_filed")
    return select(
        table.c.asked,
        literal(relation, Text).label("relation"),
        filed.c.key,
        filed.c.dossier_code,
        filed.c.procedure_code,
        filed.c.linked_group,
    ).select_from(table.join(held, filed.c[_PARENT_KEY] == table.c.key))


def parents_named() -> Select[tuple[object]]:
    """Select the keys that the filings of a batch name as the dossiers from which they were split."""
    staged = submission_tables().stage
    return select(staged.c[_PARENT_KEY]).where(staged.c[_PARENT_KEY].is_not(None))
