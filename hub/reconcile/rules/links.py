"""Which keys are one thing: a replaced PIN and its successor, a dossier's codes in several systems, merged people.

A link is what a claim says of another key (``identity_link``), or an officer's decision. The things are the connected
groups of keys (``same_key``). Claims and records stay under their own keys, so if a group is separated again, they are
unchanged. A group is published under one key: the one that no other key of the group replaces. If there is not exactly
one such key, it is the smallest of them.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    SmallInteger,
    Text,
    Uuid,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from hub.model.entities import CITIZEN, REVIEW
from hub.reconcile.shared.republish import AuditPlace, republish_keys
from hub.reconcile.shared.step import Merge
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.core import identity_link, same_key
from hub.warehouse.tables.entities import AspectTables

MERGED = "MERGED_BY_DECISION"


def step(connection: Connection, merge: Merge) -> None:
    """Update links and groups after the claims or decisions that the batch wrote."""
    if not merge.written:
        return
    tables = merge.tables
    if tables.aspect.same_as:
        changed = _links_changed(connection, merge)
    elif tables.entity is REVIEW:
        changed = _decisions_changed(connection, merge)
    else:
        return
    for entity, keys in changed.items():
        regroup(connection, entity, keys, merge.place)


def _links_changed(connection: Connection, merge: Merge) -> dict[str, set[UUID]]:
    """Store what the batch's claims say of other keys; return the keys on both sides of what changed."""
    tables, links = merge.tables, merge.accepted.links
    has_links = connection.execute(_has_links(), {"aspect": tables.name}).scalar_one()
    if links.is_empty() and not has_links:
        return {}
    hold(connection, Lock.LINKS)
    keys: set[UUID] = set()
    if has_links:
        for row in connection.execute(links_of_written_claims(tables)):
            keys |= {row.key, row.other}
    if not links.is_empty():
        columns = {
            "keys": [UUID(bytes=key) for key in links["key"]],
            "others": [UUID(bytes=other) for other in links["other"]],
            "kinds": links["kind"].to_list(),
            "sources": links["source"].to_list(),
        }
        for row in connection.execute(links_said(tables), columns):
            keys |= {row.key, row.other}
    return {tables.entity.name: keys} if keys else {}


@cache
def _has_links() -> Select[bool]:
    return select(exists().where(identity_link.c.aspect == bindparam("aspect")))


@cache
def links_of_written_claims(tables: AspectTables) -> ReturningDelete[UUID, UUID]:
    """Delete the previous links of the claims that were written."""
    merged = tables.merged
    return (
        delete(identity_link)
        .where(
            identity_link.c.entity == tables.entity.name,
            identity_link.c.aspect == tables.name,
            identity_link.c.key == merged.c.key,
            identity_link.c.source == merged.c.source,
        )
        .returning(identity_link.c.key, identity_link.c.other)
    )


@cache
def links_said(tables: AspectTables) -> ReturningInsert[Any]:
    """Store the links that the written claims state now."""
    merged = tables.merged
    said = (
        func.unnest(
            bindparam("keys", type_=ARRAY(Uuid)),
            bindparam("others", type_=ARRAY(Uuid)),
            bindparam("kinds", type_=ARRAY(Text)),
            bindparam("sources", type_=ARRAY(SmallInteger)),
        )
        .table_valued("key", "other", "kind", "source", name="said")
        .render_derived()
    )
    rows = (
        select(literal(tables.entity.name), literal(tables.name), said.c.key, said.c.source, said.c.other, said.c.kind)
        .join_from(said, merged, and_(merged.c.key == said.c.key, merged.c.source == said.c.source))
        .distinct()
    )
    names = ["entity", "aspect", "key", "source", "other", "kind"]
    return (
        postgresql.insert(identity_link)
        .from_select(names, rows)
        .on_conflict_do_nothing()
        .returning(identity_link.c.key, identity_link.c.other)
    )


def _decisions_changed(connection: Connection, merge: Merge) -> dict[str, set[UUID]]:
    """Store which people officers have merged; a later decision that keeps them apart removes the link."""
    decided = connection.execute(_people_decided(merge.tables)).all()
    if not decided:
        return {}
    hold(connection, Lock.LINKS)
    for row in decided:
        connection.execute(
            delete(identity_link).where(
                identity_link.c.kind == MERGED,
                identity_link.c.key == row.subject_key,
                identity_link.c.other == row.other_key,
            )
        )
    merged = [row for row in decided if row.decision == "TAKE" and not row.revoked]
    if merged:
        rows = [
            {
                "entity": CITIZEN.name,
                "aspect": merge.tables.name,
                "key": row.subject_key,
                "source": row.source,
                "other": row.other_key,
                "kind": MERGED,
            }
            for row in merged
        ]
        connection.execute(postgresql.insert(identity_link).on_conflict_do_nothing(), rows)
    return {CITIZEN.name: {key for row in decided for key in (row.subject_key, row.other_key)}}


@cache
def _people_decided(tables: AspectTables) -> Select[tuple[object, ...]]:
    claim, merged = tables.claim, tables.merged
    return (
        select(claim.c.subject_key, claim.c.other_key, claim.c.decision, claim.c.revoked, claim.c.source)
        .join_from(claim, merged, and_(claim.c.key == merged.c.key, claim.c.source == merged.c.source))
        .where(claim.c.kind == "POSSIBLE_DUPLICATE_PERSON", claim.c.other_key.is_not(None))
    )


def regroup(connection: Connection, entity: str, keys: Iterable[UUID], place: AuditPlace) -> None:
    """Compute the groups again to which some keys belong or belonged, and touch every key of them."""
    wanted = sorted(keys)
    before = connection.execute(_groups_with(entity), {"keys": wanted}).scalars().all()
    edges = connection.execute(_edges_around(entity), {"keys": sorted({*wanted, *before})}).all()
    canonical = canonical_keys([(row.key, row.other) for row in edges])
    members = sorted({*wanted, *before, *canonical})
    connection.execute(delete(same_key).where(same_key.c.entity == entity, same_key.c.key.in_(members)))
    if canonical:
        rows = [{"entity": entity, "key": key, "canonical": chosen} for key, chosen in sorted(canonical.items())]
        connection.execute(insert(same_key), rows)
    republish_keys(connection, place, entity, select(func.unnest(literal(members, ARRAY(Uuid)))))


@cache
def _groups_with(entity: str) -> Select[UUID]:
    """Every key of the groups that contain ``:keys``."""
    mine = select(same_key.c.canonical).where(
        same_key.c.entity == entity, same_key.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid)))
    )
    return select(same_key.c.key).where(same_key.c.entity == entity, same_key.c.canonical.in_(mine))


@cache
def _edges_around(entity: str) -> Select[tuple[UUID, UUID]]:
    """Every link of the groups around ``:keys``, any number of steps away."""
    start = select(func.unnest(bindparam("keys", type_=ARRAY(Uuid))).label("key")).cte("around", recursive=True)
    link = identity_link
    is_end = or_(link.c.key == start.c.key, link.c.other == start.c.key)
    next_key = func.unnest(postgresql.array([link.c.key, link.c.other])).label("key")
    around = start.union(select(next_key).where(link.c.entity == entity, is_end))
    return select(link.c.key, link.c.other).where(
        link.c.entity == entity, or_(link.c.key.in_(select(around.c.key)), link.c.other.in_(select(around.c.key)))
    )


def canonical_keys(edges: Iterable[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """Return, for every key of every group, the key under which its group is published.

    Args:
        edges: (key, other): ``key`` states that ``other`` is another key of the same thing.
    """
    neighbours: dict[UUID, set[UUID]] = defaultdict(set)
    replaced: set[UUID] = set()
    for key, other in edges:
        neighbours[key].add(other)
        neighbours[other].add(key)
        replaced.add(other)
    chosen: dict[UUID, UUID] = {}
    for key in sorted(neighbours):
        if key in chosen:
            continue
        group, waiting = {key}, [key]
        while waiting:
            found = neighbours[waiting.pop()] - group
            group |= found
            waiting += found
        roots = sorted(group - replaced) or sorted(group)
        chosen |= dict.fromkeys(group, roots[0])
    return chosen
