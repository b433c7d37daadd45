"""Where is it? Every hop of a thing's events: at the source, on the log, decided, parked and released, on the portal.

Of an event's content nothing is read; only the time when it was appended to the log. So nothing needs masking: keys are
hashes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Select, Text, bindparam, func, inspect, select, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY

from hub.log.odd import Headers
from hub.log.places import Place
from hub.model.errors import UnreachableError
from hub.model.outcomes import Outcome
from hub.operate.log.read_back import LogValues, read_values
from hub.operate.log.record import LogRecord
from hub.operate.records.history import Event
from hub.operate.records.questions import CONFLICT, REVIEW
from hub.operate.trace.find import TracedKey, find
from hub.operate.trace.portal import Published, publications
from hub.operate.trace.shared import shared_record
from hub.topology import CLOSED_MARK, record_topics
from hub.warehouse.database import translated_errors
from hub.warehouse.offsets import known_topic_ids
from hub.warehouse.tables.core import conflict, log_partition, parked, review, same_key, source
from hub.warehouse.tables.replays import replay, replay_position

_CHANGING = frozenset({Outcome.APPLIED, Outcome.SUPERSEDED})
_CLOCKS_DIFFER_BY = timedelta(milliseconds=1)
"""The log's timestamps have only milliseconds."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A conflict or a question that an event's transaction opened or closed, by its number."""

    what: str
    number: str
    is_opened: bool

    def __str__(self) -> str:
        return f"{self.what} {self.number} {'opened' if self.is_opened else 'closed'}"


@dataclass(frozen=True, slots=True)
class Passage:
    """One event's way through the hub.

    Fields:
        event: as in the audit log; for a released event, what it became.
        appended_at: when the log received it; None: the log no longer holds it, or could not be asked.
        waits_for: what a parked event waits for.
        effects: what its transaction opened and closed.
        published: the record that was published after it, if its outcome changed one.
        replays: numbers and states of the replays that read it.
        headers: of its record on the log.
    """

    event: Event
    appended_at: datetime | None
    waits_for: str | None
    effects: tuple[Effect, ...]
    published: Published | None
    replays: tuple[str, ...]
    headers: Headers = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Trace:
    """A thing's way: its passages in the order in which they were decided, and what a reader must know.

    ``asked``: if the thing was named by a place on a topic of share: the record there.
    """

    entity: str
    key: UUID
    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()
    asked: LogRecord | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the warehouse knows of the events besides their outcomes."""

    published_key: UUID
    waits: Mapping[Place, str | None]
    effects: Sequence[tuple[datetime, Effect]]
    replays: Mapping[Place, tuple[str, ...]]


def trace(
    engine: Engine, bootstrap: str, secret: str, who: str, entity: str | None = None, archive: Path | None = None
) -> Trace:
    """Return every hop of a thing, or of one event.

    Args:
        engine: of the warehouse.
        bootstrap: Kafka brokers; if they are unreachable, times on the log and the portal are missing, and a note says
            so.
        secret: of the keyed hash.
        who: a code, number, key, event id or place in the log; also a place on the portal's topics.
        entity: name of the entity that ``who`` means, if the text alone is not clear.
        archive: folder that holds what the log no longer holds.

    Raises:
        NoSuchThingError: the hub has never read an event of it.
        UnreachableError: the database does not answer; or Kafka, if a place on the portal's topics was named.
    """
    shared = shared_record(bootstrap, who.strip())
    if shared is not None:
        who, entity = shared.who, shared.entity
    with translated_errors("tracing"), engine.connect() as connection, connection.begin():
        found = find(connection, who, secret, entity)
        events = [event for event in found.events if found.only in (None, event.place)]
        stored = _stored(connection, found, events)
        known = known_topic_ids(connection)
    notes: list[str] = []
    read, published = _of_the_log(_Log(bootstrap, archive, known), found, events, stored, notes)
    passages = [_passage(event, read, stored, published) for event in events]
    asked = None if shared is None else shared.record
    return Trace(found.entity.name, found.key, tuple(passages), tuple(notes), asked)


@dataclass(frozen=True, slots=True)
class _Log:
    bootstrap: str
    archive: Path | None
    topic_ids: Mapping[str, UUID]


def _of_the_log(
    log: _Log, found: TracedKey, events: Sequence[Event], stored: _Stored, notes: list[str]
) -> tuple[LogValues, list[Published]]:
    topic = record_topics().get(found.entity.name)
    times = [event.recorded_at - _CLOCKS_DIFFER_BY for event in events if event.outcome in _CHANGING]
    try:
        read = read_values(log.bootstrap, [event.place for event in events], log.archive, log.topic_ids)
        published = publications(log.bootstrap, topic, stored.published_key, times) if topic and times else []
    except UnreachableError as error:
        notes.append(f"without times on the log and the portal: {error.message}")
        return LogValues({}), []
    # a record without a value still has a time: it exists
    if gone := read.gone - read.appended.keys():
        notes.append(f"the log no longer holds {len(gone)} of these records")
    if topic is None:
        notes.append(f"records of {found.entity.name} are not published on a topic of their own")
    elif times and not published:
        notes.append(f"nothing of it was found on {topic}: is `hub share` running?")
    if stored.published_key != found.key:
        notes.append(f"published with its other keys as {stored.published_key}")
    return read, published


def _passage(event: Event, read: LogValues, stored: _Stored, published: Sequence[Published]) -> Passage:
    since = event.recorded_at - _CLOCKS_DIFFER_BY
    later = [one for one in published if one.at >= since] if event.outcome in _CHANGING else []
    return Passage(
        event,
        read.appended.get(event.place),
        stored.waits.get(event.place),
        tuple(effect for at, effect in stored.effects if at == event.recorded_at),
        min(later, key=lambda one: one.offset, default=None),
        stored.replays.get(event.place, ()),
        read.headers.get(event.place, ()),
    )


def _stored(connection: Connection, found: TracedKey, events: Sequence[Event]) -> _Stored:
    canonical = connection.execute(
        select(same_key.c.canonical).where(same_key.c.entity == found.entity.name, same_key.c.key == found.key)
    ).scalar_one_or_none()
    waits = connection.execute(
        select(log_partition.c.topic, log_partition.c.partition, parked.c.log_offset, parked.c.waits_for)
        .join_from(parked, log_partition, log_partition.c.id == parked.c.log)
        .where(parked.c.key == found.key)
    )
    return _Stored(
        canonical or found.key,
        {Place(row.topic, row.partition, row.log_offset): row.waits_for for row in waits},
        _effects(connection, found.key),
        _replays(connection, [event.place for event in events]),
    )


def _effects(connection: Connection, key: UUID) -> list[tuple[datetime, Effect]]:
    """Return what was opened and closed about a key, with the time of the transaction, which is its batch's time."""
    effects: list[tuple[datetime, Effect]] = []
    conflicts = select(conflict, source.c.code).join(source, source.c.id == conflict.c.source)
    for row in connection.execute(conflicts.where(conflict.c.key == key)):
        what, number = f"conflict about {row.field} ({row.code})", f"{CONFLICT}{row.id}"
        effects.append((row.opened_at, Effect(what, number, True)))
        if row.closed_at is not None:
            effects.append((row.closed_at, Effect(what, number, False)))
    for row in connection.execute(select(review).where(review.c.key == key)):
        number = f"{REVIEW}{row.id}"
        effects.append((row.opened_at, Effect(row.kind, number, True)))
        if row.closed_at is not None:
            effects.append((row.closed_at, Effect(row.kind, number, False)))
    return effects


def _replays(connection: Connection, places: Collection[Place]) -> dict[Place, tuple[str, ...]]:
    """Return which replays have read some places."""
    if not inspect(connection).has_table(replay_position.name):
        return {}
    rows = connection.execute(replays_of_logs(), {"topics": sorted({place.topic for place in places})}).all()
    return {place: found for place in places if (found := tuple(_words(row) for row in rows if _has_read(row, place)))}


def replays_of_logs() -> Select[Any]:
    """Select which stretches of ``:topics`` replays have read."""
    return (
        select(
            replay.c.id,
            replay.c.state,
            log_partition.c.topic,
            log_partition.c.partition,
            replay_position.c.first_offset,
            replay_position.c.next_offset,
        )
        .join_from(replay_position, replay, replay.c.id == replay_position.c.replay)
        .join(log_partition, log_partition.c.id == replay_position.c.log)
        .where(
            type_coerce(func.split_part(log_partition.c.topic, CLOSED_MARK, 1), Text)
            == func.any(bindparam("topics", type_=ARRAY(Text)))
        )
        .order_by(replay.c.id)
    )


def _has_read(row: Any, place: Place) -> bool:
    is_there = (row.topic, row.partition) == (place.topic, place.partition)
    return is_there and row.first_offset <= place.offset < row.next_offset


def _words(row: Any) -> str:
    return f"replay {row.id} ({row.state})"
