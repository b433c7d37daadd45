"""Everything the hub holds of one thing: whose claims, who holds the record and by which rule, what is disputed.

One implementation for all entities, over their declarations. Reads one snapshot of the warehouse and changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Uuid, bindparam, select

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import masked
from hub.model.entities import Aspect, Entity
from hub.operate.history import NO_LIMITS, Event, Limits, fold
from hub.operate.show_beside import Beside, beside_of, conflicts_of
from hub.operate.show_claims import Claim, Disagreement, Rule, Side, Speaker, Won, decided, side_of
from hub.operate.show_events import speakers_of
from hub.warehouse.entity_tables import AspectTables, aspect_tables, whole_claim
from hub.warehouse.tables import source


@dataclass(frozen=True, slots=True)
class Shown:
    """A thing as the hub holds it, or held it.

    Fields:
        limits: how far the state looks; what stands ``beside`` is always of now.
        sides: its aspects and their parts, in declared order.
        events: what happened to it, when asked for; oldest first.
        notes: what a reader must know about what is shown.
    """

    entity: Entity
    key: UUID
    sides: tuple[Side, ...]
    beside: Beside
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


def sides_of(connection: Connection, entity: Entity, key: UUID) -> tuple[Side, ...]:
    """Return what the warehouse holds of a key, aspect by aspect, with the stored conflicts."""
    found: list[Side] = []
    for aspect in entity.aspects:
        query = claims_of_key(aspect_tables(aspect.subject))
        rows = [dict(row) for row in connection.execute(query, {"key": key}).mappings()]
        if not rows:
            continue
        speakers = speakers_of(connection, entity, aspect)
        conflicts = conflicts_of(connection, f"{entity.name}.{aspect.name}", key)
        for part in sorted({_part(aspect, row) for row in rows}):
            of_part = [row for row in rows if _part(aspect, row) == part]
            found.append(_side(aspect, part, of_part, speakers, conflicts.get("|".join(part), ())))
    return tuple(found)


def _part(aspect: Aspect, row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in aspect.part)


def _side(
    aspect: Aspect,
    part: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
    speakers: Mapping[str, Speaker],
    conflicts: Sequence[Disagreement],
) -> Side:
    claims = [_claim(aspect, row, speakers[row["code"]]) for row in rows]
    holder = next((row["code"] for row in rows if row["source"] == row["holder_source"]), None)
    won = held_by(claims, holder)
    return side_of(aspect, part, claims, won, conflicts)


def held_by(claims: Sequence[Claim], holder: str | None) -> Won:
    """Return by which rule the stored holder holds the record: when no other rule gives it, an officer's decision."""
    won = decided(claims)
    if won.holder == holder:
        return won
    return decided(claims, holder) if holder is not None else Won(None, Rule.NOBODY)


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
    )


def show(connection: Connection, entity: Entity, key: UUID) -> Shown | None:
    """Return a thing as the hub holds it now; None when it knows nothing of it, not even a parked event."""
    sides = sides_of(connection, entity, key)
    beside = beside_of(connection, entity, key)
    return Shown(entity, key, sides, beside) if sides or beside.parked else None


def past(connection: Connection, of: Shown, events: Sequence[Event], limits: Limits) -> Shown:
    """Return a thing as it was: folded from its events, whose values must have been read."""
    sides: list[Side] = []
    for aspect in of.entity.aspects:
        mine = [event for event in events if event.aspect == aspect.name]
        if mine:
            speakers = speakers_of(connection, of.entity, aspect)
            sides += fold(of.entity, aspect, mine, speakers, limits)
    notes = ["authority of sources as it is now; reviews, flags, links and deadlines are those of now"]
    unread = sum(event.values is None for event in events if limits.admit(event))
    if unread:
        notes.append(f"{unread} accepted events could not be read from the log: this state may be incomplete")
    return replace(of, sides=tuple(sides), limits=limits, notes=(*of.notes, *notes))


def masked_shown(of: Shown) -> Shown:
    """Return the same with every personal and sensitive value masked, by the schemas' data classes."""
    return replace(
        of,
        sides=tuple(_masked_side(side) for side in of.sides),
        events=tuple(_masked_event(of.entity, event) for event in of.events),
        beside=of.beside.masked(of.entity),
    )


def _masked_side(side: Side) -> Side:
    schema = load_catalogue().latest(side.aspect.subject).schema
    return replace(
        side, claims=tuple(replace(claim, fields=masked(dict(claim.fields), schema)) for claim in side.claims)
    )


def _masked_event(entity: Entity, event: Event) -> Event:
    if event.values is None:
        return event
    schema = load_catalogue().latest(entity.aspect(event.aspect).subject).schema
    return replace(event, values=masked(dict(event.values), schema))
