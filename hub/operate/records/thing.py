"""Everything the hub holds of one thing: its claims, who holds the record and by which rule, what is in conflict.

One implementation serves all entities, by their declarations. It reads one snapshot of the warehouse and changes
nothing. A thing may have several keys (a replaced PIN, a dossier's codes in several systems): each keeps its own
records, and all are shown.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Uuid, bindparam, select

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import masked
from hub.model.declaration import Aspect, Entity
from hub.model.entities import REVIEW
from hub.model.values.doubtful import DOUBTFUL
from hub.operate.records.beside import Beside, beside_of, conflicts_of, same_keys
from hub.operate.records.claims import Claim, Disagreement, Identity, Rule, Side, Speaker, Won, decided, side_of
from hub.operate.records.decisions import Decided, about
from hub.operate.records.events import decisions_about, speakers_of
from hub.operate.records.history import NO_LIMITS, Event, Limits, Standing, aspect_of, decisions_in, fold
from hub.operate.records.rows import rows_of
from hub.warehouse.tables.core import source
from hub.warehouse.tables.entities import AspectTables, aspect_tables, whole_claim


@dataclass(frozen=True, slots=True)
class Shown:
    """A thing as the hub holds it, or held it.

    Fields:
        key: the one that was asked for.
        keys: all keys of the thing, that one first.
        limits: which events count; what is in ``beside`` is always of now.
        sides: records by key, aspect and part, in declared order.
        events: what happened to it, if asked for; the oldest first.
        notes: what a reader must know about what is shown.
    """

    entity: Entity
    key: UUID
    sides: tuple[Side, ...]
    beside: Beside
    keys: tuple[UUID, ...] = ()
    limits: Limits = NO_LIMITS
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()


@cache
def claims_of_key(tables: AspectTables) -> Select[Any]:
    """Select every source's claim of ``:key``, sensitive fields included, and the source that holds the record."""
    whole, record = whole_claim(tables), tables.record
    same = [record.c[name] == whole.c[name] for name in tables.identity]
    holder = select(record.c.source).where(*same).scalar_subquery()
    return (
        select(*whole.c.values(), source.c.code, holder.label("holder_source"))
        .select_from(whole.source.join(source, source.c.id == whole.c["source"]))
        .where(whole.c["key"] == bindparam("key", type_=Uuid))
        .order_by(*(whole.c[name] for name in tables.identity), source.c.code)
    )


def sides_of(connection: Connection, entity: Entity, key: UUID, decisions: Collection[Decided] = ()) -> list[Side]:
    """Return what the warehouse holds of a key, aspect by aspect, with the stored conflicts."""
    found: list[Side] = []
    for aspect in entity.aspects:
        query = claims_of_key(aspect_tables(aspect.subject))
        rows = [dict(row) for row in connection.execute(query, {"key": key}).mappings()]
        if not rows:
            continue
        name = f"{entity.name}.{aspect.name}"
        speakers = speakers_of(connection, entity, aspect)
        conflicts = conflicts_of(connection, name, key)
        for part in sorted({_part(aspect, row) for row in rows}):
            of_part = [row for row in rows if _part(aspect, row) == part]
            standing = Standing(speakers, tuple(about(decisions, name, "|".join(part))))
            found.append(_side(Identity(key, aspect, part), of_part, standing, conflicts.get("|".join(part), ())))
    return found


def _part(aspect: Aspect, row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in aspect.part)


def _side(
    identity: Identity, rows: Sequence[Mapping[str, Any]], standing: Standing, conflicts: Sequence[Disagreement]
) -> Side:
    claims = [_claim(identity.aspect, row, standing.speakers[row["code"]]) for row in rows]
    holder = next((row["code"] for row in rows if row["source"] == row["holder_source"]), None)
    return side_of(identity, claims, won_by(claims, standing.decisions, holder), conflicts)


def won_by(claims: Sequence[Claim], decisions: Collection[Decided], holder: str | None) -> Won:
    """Return the rule by which the stored holder holds the record; UNEXPLAINED if no rule gives this holder."""
    won = decided(claims, decisions)
    return won if won.holder == holder else Won(holder, Rule.UNEXPLAINED, won.holder)


def _claim(aspect: Aspect, row: Mapping[str, Any], speaker: Speaker) -> Claim:
    return Claim(
        speaker,
        row["source_epoch"],
        row["source_version"],
        row["occurred_at"],
        row["recorded_at"],
        row["operation"],
        row["unit_scheme"],
        row["event_id"],
        row["content_hash"],
        {spec.name: row[spec.name] for spec in aspect_tables(aspect.subject).data},
        row["flags"],
        row[DOUBTFUL],
    )


def show(connection: Connection, entity: Entity, key: UUID) -> Shown | None:
    """Return a thing as the hub holds it now; None if the hub knows nothing of it, not even a parked event."""
    same = same_keys(connection, entity, key)
    keys = (key, *(other for other in same if other != key))
    decisions = decisions_about(connection, entity, keys)
    sides = [side for one in keys for side in sides_of(connection, entity, one, decisions)]
    beside = replace(beside_of(connection, entity, keys), same=tuple(same), canonical=same.get(key))
    beside = replace(beside, decisions=tuple(decisions), rows=rows_of(connection, entity, keys))
    return Shown(entity, key, tuple(sides), beside, keys) if sides or beside.parked else None


def speakers_by_aspect(connection: Connection, entity: Entity) -> dict[str, dict[str, Speaker]]:
    """Return the sources of every aspect of an entity, and of reviews, by the aspect's subject and their codes."""
    return {aspect.subject: speakers_of(connection, of, aspect) for of in (entity, REVIEW) for aspect in of.aspects}


def past(shown: Shown, events: Sequence[Event], limits: Limits, speakers: Mapping[str, Mapping[str, Speaker]]) -> Shown:
    """Return a thing as it was, computed from its events and those of its reviews; their values must have been read."""
    (decision,) = REVIEW.aspects
    decisions = decisions_in(
        REVIEW, [event for event in events if event.aspect == decision.name], speakers[decision.subject], limits
    )
    sides = [
        side
        for key in shown.keys
        for aspect in shown.entity.aspects
        for side in fold(
            shown.entity, Identity(key, aspect), events, Standing(speakers[aspect.subject], decisions), limits
        )
    ]
    beside = replace(shown.beside, decisions=decisions)
    return replace(shown, sides=tuple(sides), beside=beside, limits=limits, notes=(*shown.notes, PAST_NOTE))


PAST_NOTE = "a past state: with the authority that sources have now; reviews, flags, links, deadlines are those of now"


def masked_shown(shown: Shown) -> Shown:
    """Return a copy with every personal and sensitive value masked, by the schemas' data classes."""
    return replace(
        shown,
        sides=tuple(_masked_side(side) for side in shown.sides),
        events=tuple(_masked_event(shown.entity, event) for event in shown.events),
        beside=shown.beside.masked(shown.entity),
    )


def _masked_side(side: Side) -> Side:
    schema = load_catalogue().latest(side.aspect.subject).schema
    return replace(
        side, claims=tuple(replace(claim, fields=masked(dict(claim.fields), schema)) for claim in side.claims)
    )


def _masked_event(entity: Entity, event: Event) -> Event:
    if event.values is None:
        return event
    schema = load_catalogue().latest(aspect_of(entity, event).subject).schema
    return replace(event, values=masked(dict(event.values), schema))
