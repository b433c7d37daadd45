"""From what an operator has to the keys of a thing: a code, a number, a key, an event's id, a place in the log.

What was typed is hashed or looked up, and never repeated: it may be a person's number.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from sqlalchemy import Connection, Select, select

from hub.log.places import Place
from hub.model.declaration import Entity
from hub.model.entities import ENTITIES, SUBJECTS, entity_named
from hub.model.errors import ConfigError
from hub.operate.records.events import events_on
from hub.operate.records.find import alias_keys
from hub.operate.records.history import Event
from hub.operate.records.request import MAYBE_REJECTED, NoSuchThingError
from hub.operate.records.typed_key import keys_meant, may_be_key, typed_hash
from hub.operate.trace.place import place_named
from hub.topology import event_topic, merged_topics, subject_of
from hub.warehouse.evidence.find import rows_naming, sought
from hub.warehouse.tables.core import audit, log_partition


class NoKeyError(NoSuchThingError):
    """The hub knows no key for the named place in the log: ``hub.operate.trace.place`` shows what it knows."""


@dataclass(frozen=True, slots=True)
class TracedKey:
    """What was meant: the thing's key, its events, and the one event if a single one was asked for."""

    entity: Entity
    key: UUID
    events: tuple[Event, ...]
    only: Place | None = None


def find(connection: Connection, who: str, secret: str, entity: str | None = None) -> TracedKey:
    """Return the thing that a text means, with all its events.

    Args:
        connection: of the warehouse.
        who: ``topic/partition/offset``, an event's id, a key, or a code or number of any entity.
        secret: of the keyed hash.
        entity: search only this entity.

    Raises:
        NoSuchThingError: the hub has never read an event of it.
        ConfigError: there is no such entity.
    """
    if entity is not None and entity not in {one.name for one in ENTITIES}:
        raise ConfigError([f"there is no entity {entity}; there are {', '.join(one.name for one in ENTITIES)}"])
    text = who.strip()
    place = place_named(text)
    if place is not None:
        topic, partition, offset = place
        return _at(connection, Place(topic, partition, -1 if offset is None else offset))
    for of, keys in _meant(connection, text, secret, entity):
        topics = merged_topics() if of is None else [event_topic(aspect.subject) for aspect in of.aspects]
        for key in keys:
            events = events_on(connection, topics, [key])
            if events:
                return TracedKey(_entity_of(events[0].place.topic), key, tuple(events))
    with suppress(ValueError):
        return _of_event(connection, UUID(text))
    raise NoSuchThingError(f"the hub has read no event of it: no such code, number, key or event id; {MAYBE_REJECTED}")


def _meant(
    connection: Connection, text: str, secret: str, entity: str | None
) -> Iterator[tuple[Entity | None, tuple[UUID, ...]]]:
    """Yield the keys that a text can mean: the key itself, whichever entity has it; a code; another number."""
    key = typed_hash(text)
    if key is not None:
        yield None, (key,)
    among = ENTITIES if entity is None else (entity_named(entity),)
    for one in among:
        if may_be_key(one, text):
            yield one, keys_meant(one, text, secret)
    for one in among:
        yield one, alias_keys(connection, one, text)


def _entity_of(topic: str) -> Entity:
    return SUBJECTS[subject_of(topic)][0]


def _of_event(connection: Connection, event_id: UUID) -> TracedKey:
    row = connection.execute(places_of_event(), sought([event_id])).first()
    if row is None:
        raise NoSuchThingError("the hub has read no event of it: no such key or event id")
    return _at(connection, Place(row.topic, row.partition, row.log_offset))


@cache
def places_of_event() -> Select[str, int, int]:
    """Select the places in the log of events with one of the ids ``:names``, the one decided first comes first."""
    of_event = rows_naming(audit.c.event_id).cte("of_event").prefix_with("MATERIALIZED")
    return (
        select(log_partition.c.topic, log_partition.c.partition, of_event.c.log_offset)
        .join_from(of_event, log_partition, log_partition.c.id == of_event.c.log)
        .order_by(of_event.c.batch)
        .limit(1)
    )


def _at(connection: Connection, place: Place) -> TracedKey:
    row = connection.execute(
        select(audit.c.key)
        .join_from(audit, log_partition, log_partition.c.id == audit.c.log)
        .where(
            log_partition.c.topic == place.topic,
            log_partition.c.partition == place.partition,
            audit.c.log_offset == place.offset,
        )
    ).first()
    if row is None or row.key is None:
        raise NoKeyError(f"no event is known at {place.topic}/{place.partition}/{place.offset}")
    events = tuple(events_on(connection, [place.topic], [row.key]))
    return TracedKey(_entity_of(place.topic), row.key, events, place)
