"""Claims that hold their record: what the hub holds true, as the steps after the merge query it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, Uuid, and_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.warehouse.tables.core import same_key
from hub.warehouse.tables.entities import AspectTables, whole_claim

KEYS = "keys"
"""Name of the parameter with an array of keys."""


@dataclass(frozen=True, slots=True)
class Held:
    """Claims that hold their record, joined to their sensitive fields: the FROM clause, and each column."""

    source: FromClause
    c: Mapping[str, ColumnElement[Any]]


@cache
def held(tables: AspectTables, alias: str) -> Held:
    """Return an aspect's claims that hold their record, under the given alias."""
    whole = whole_claim(tables, alias)
    record = tables.record.alias(f"{alias}_record")
    holds = and_(*(record.c[name] == whole.c[name] for name in tables.identity), record.c.source == whole.c["source"])
    return Held(whole.source.join(record, holds), whole.c)


def given_keys() -> Select[UUID]:
    """Select the keys of the parameter ``keys``."""
    return select(func.unnest(bindparam(KEYS, type_=ARRAY(Uuid))).label("key"))


def merged_keys(tables: AspectTables) -> Select[UUID]:
    """Select the keys of what the batch wrote for an aspect."""
    return select(tables.merged.c.key).distinct()


def is_among(key: ColumnElement[Any], keys: Select[Any]) -> ColumnElement[bool]:
    """Return whether a key is one of those that a select gives, found by the key's index.

    Temporary tables, and tables that were filled a moment ago, have no statistics. A join as the planner guesses it may
    compare every row with every other.
    """
    return key == func.any(func.array(keys.scalar_subquery()))


def keys_with_tracked_changes(tables: AspectTables) -> Select[UUID]:
    """Select the keys whose tracked fields may differ from those before the batch.

    If a record moved, another source's claim holds it.
    """
    merged = tables.merged
    return select(merged.c.key).where(or_(merged.c.tracked_changed, merged.c.moved)).distinct()


def with_group(entity: str, keys: Select[UUID]) -> Select[UUID]:
    """Select some keys and every other key of the same things."""
    start = keys.subquery()
    mine, member = same_key.alias("mine"), same_key.alias("member")
    same = and_(member.c.entity == entity, member.c.canonical == mine.c.canonical)
    members = (
        select(member.c.key)
        .join_from(start, mine, and_(mine.c.entity == entity, mine.c.key == start.c[0]))
        .join(member, same)
    )
    both = select(start.c[0].label("key")).union(members).subquery()
    return select(both.c.key)
