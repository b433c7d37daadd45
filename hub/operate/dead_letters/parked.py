"""Parked records as an operator finds them: what waits for what, since when, and how many wait behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Select, func, literal, null, or_, select, tuple_

from hub.log.places import Place, place_text
from hub.model.entities import SUBJECTS
from hub.model.errors import ConfigError
from hub.operate.actions import UNMASK, Action, note
from hub.operate.dead_letters.show import decoded
from hub.operate.records.request import Unmasking
from hub.warehouse.database import translated_errors
from hub.warehouse.setup.roles import may_read
from hub.warehouse.tables.core import log_partition, parked, source


@dataclass(frozen=True, slots=True)
class ParkedFilter:
    """Which keys' records; None or empty: all.

    Fields:
        waits_for: what they wait for, as listed: ``procedure:1.001193``.
        older_than_h: those that have waited for at least this many hours.
        places: the keys of these records.
        limit: at most this many keys, the oldest first.
    """

    subject: str | None = None
    source: str | None = None
    waits_for: str | None = None
    older_than_h: float = 0
    places: tuple[Place, ...] = ()
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Queue:
    """The waiting records of one key and subject, in the order of the log.

    Fields:
        first: the record that waits longest; the others wait behind it.
        waits_for: what is missing; several values if a later record misses something else.
        is_let_in: an officer decided that the records count without it; the next sweep releases them.
    """

    first: Place
    subject: str
    key: UUID
    waits_for: tuple[str, ...]
    sources: tuple[str, ...]
    since: datetime
    records: int
    is_let_in: bool

    @property
    def behind(self) -> int:
        """Return how many wait behind the first."""
        return self.records - 1

    @property
    def aspect(self) -> str:
        """Return the aspect that the subject feeds, as decisions name it."""
        entity, aspect = SUBJECTS[self.subject]
        return f"{entity.name}.{aspect.name}"


@dataclass(frozen=True, slots=True)
class Awaited:
    """Something that is missing: which subject waits for it, how many records of how many keys, since when."""

    subject: str
    waits_for: str
    records: int
    keys: int
    since: datetime


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """One waiting record; ``fields`` is None if its bytes cannot be decoded or this user may not read them."""

    place: Place
    source: str
    waits_for: str | None
    parked_at: datetime
    is_let_in: bool
    fields: Mapping[str, Any] | None = field(repr=False)


def read_queues(connection: Connection, wanted: ParkedFilter) -> list[Queue]:
    """Return the waiting records by key, the oldest first."""
    rows: Any = connection.execute(_queues(wanted))
    return [
        Queue(Place(topic, partition, offset), subject, key, tuple(waits or ()), tuple(codes), since, records, let_in)
        for subject, key, waits, codes, since, records, let_in, topic, partition, offset in rows
    ]


def read_awaited(connection: Connection, limit: int = 50) -> list[Awaited]:
    """Return what is waited for; what most records wait for comes first."""
    rows = connection.execute(
        select(
            parked.c.subject,
            parked.c.waits_for,
            func.count(),
            func.count(parked.c.key.distinct()),
            func.min(parked.c.parked_at),
        )
        .where(parked.c.waits_for.is_not(None))
        .group_by(parked.c.subject, parked.c.waits_for)
        .order_by(func.count().desc(), parked.c.waits_for)
        .limit(limit)
    )
    return [Awaited(*row) for row in rows]


def count_parked(connection: Connection) -> tuple[int, int]:
    """Return the number of waiting records, and of their keys."""
    records, keys = connection.execute(
        select(func.count(), func.count(tuple_(parked.c.subject, parked.c.key).distinct()))
    ).one()
    return records, keys


def queue_at(connection: Connection, place: Place) -> Queue:
    """Return the queue that contains a parked record.

    Raises:
        ConfigError: no record is parked there.
    """
    found = read_queues(connection, ParkedFilter(places=(place,)))
    if not found:
        raise ConfigError([f"{place_text(place)}: no record is parked there; see `hub parked list`"])
    return found[0]


def show_queue(
    engine: Engine, place: Place, unmasking: Unmasking | None, most: int = 100
) -> tuple[Queue, list[ParkedRecord]]:
    """Return a queue with at most ``most`` of its records; personal values are masked unless somebody unmasks them.

    Raises:
        ConfigError: no record is parked there.
    """
    with translated_errors("reading parked records"), engine.begin() as connection:
        queue = queue_at(connection, place)
        if unmasking is not None:
            entity = SUBJECTS[queue.subject][0].name
            note(connection, Action(unmasking.actor, UNMASK, unmasking.reason, entity, queue.key))
        rows = connection.execute(
            select(
                log_partition.c.topic,
                log_partition.c.partition,
                parked.c.log_offset,
                source.c.code,
                parked.c.waits_for,
                parked.c.parked_at,
                parked.c.let_in,
                parked.c.record_value if may_read(connection, parked.c.record_value) else null(),
            )
            .join(log_partition, log_partition.c.id == parked.c.log)
            .join(source, source.c.id == parked.c.source)
            .where(parked.c.subject == queue.subject, parked.c.key == queue.key)
            .order_by(parked.c.log, parked.c.log_offset)
            .limit(most)
        )
        records = [
            ParkedRecord(Place(*row[:3]), row[3], row[4], row[5], row[6], decoded(row[7], unmasking is None))
            for row in rows
        ]
    return queue, records


def _queues(wanted: ParkedFilter) -> Select[Any]:
    oldest = _oldest_keys(wanted).subquery("queue")
    mine = parked.alias("mine")
    first = (
        select(mine.c.log, mine.c.log_offset)
        .where(mine.c.subject == oldest.c.subject, mine.c.key == oldest.c.key)
        .order_by(mine.c.log, mine.c.log_offset)
        .limit(1)
        .lateral("first")
    )
    return (
        select(oldest, log_partition.c.topic, log_partition.c.partition, first.c.log_offset)
        .join_from(oldest, first, literal(True))
        .join(log_partition, log_partition.c.id == first.c.log)
        .order_by(oldest.c.since, oldest.c.key)
    )


def _oldest_keys(wanted: ParkedFilter) -> Select[Any]:
    """Select the keys whose records have waited longest, with what they wait for and how many they are."""
    grouped = (
        select(
            parked.c.subject,
            parked.c.key,
            func.array_agg(parked.c.waits_for.distinct()).filter(parked.c.waits_for.is_not(None)).label("waits"),
            func.array_agg(source.c.code.distinct()).label("codes"),
            func.min(parked.c.parked_at).label("since"),
            func.count().label("records"),
            func.bool_or(parked.c.let_in).label("let_in"),
        )
        .join(source, source.c.id == parked.c.source)
        .group_by(parked.c.subject, parked.c.key)
    )
    if wanted.subject is not None:
        grouped = grouped.where(parked.c.subject == wanted.subject)
    if wanted.places:
        grouped = grouped.where(tuple_(parked.c.subject, parked.c.key).in_(_keys_at(wanted.places)))
    if wanted.source is not None:
        grouped = grouped.having(func.bool_or(source.c.code == wanted.source))
    if wanted.waits_for is not None:
        grouped = grouped.having(func.bool_or(parked.c.waits_for == wanted.waits_for))
    if wanted.older_than_h:
        age = timedelta(hours=wanted.older_than_h)
        grouped = grouped.having(func.min(parked.c.parked_at) <= func.now() - age)
    return grouped.order_by(func.min(parked.c.parked_at), parked.c.key).limit(wanted.limit)


def _keys_at(places: tuple[Place, ...]) -> Select[tuple[str, UUID]]:
    named = [(place.topic, place.partition, place.offset) for place in places]
    here = (log_partition.c.topic, log_partition.c.partition, parked.c.log_offset)
    return (
        select(parked.c.subject, parked.c.key)
        .join(log_partition, log_partition.c.id == parked.c.log)
        .where(or_(*(tuple_(*here) == one for one in named)))
    )
