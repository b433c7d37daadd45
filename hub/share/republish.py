"""Publish again what a topic should hold, from what the warehouse holds now; share processes such a request in pages.

A request is a row that holds its own position. Share publishes a page together with new changes, and the position moves
in the transaction that moves share's positions. So an interrupted request continues where it was. Keys whose record is
held by no source are published as tombstones, so that a topic that still has their records loses them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Select,
    Subquery,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union,
    update,
)

from hub.model.entities import ENTITIES
from hub.topology import FLAG_RECORDS, record_topics, topic_of_letters
from hub.warehouse.tables.core import dead_letter, log_partition
from hub.warehouse.tables.entities import aspect_tables
from hub.warehouse.tables.people import flag
from hub.warehouse.tables.share import republication

PAGE = 2_000
"""Records that are published again in one step, together with new changes."""


@dataclass(frozen=True, slots=True)
class Republication:
    """A request. ``keys`` None: all of ``name``; ``after``: the last item published, None before the first."""

    id: int
    name: str
    topic: str
    topic_id: UUID | None
    keys: list[UUID] | None
    total: int
    done: int
    after: str | None
    actor: str
    reason: str
    asked_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Amount:
    """How many records would be published again, and how many of them are tombstones."""

    records: int
    tombstones: int


@dataclass(frozen=True, slots=True)
class Page:
    """The next part of a request: keys of records, or dead letters; ``is_last``: nothing follows."""

    request: Republication
    keys: Sequence[UUID]
    letters: Sequence[Row[Any]]
    after: str | None
    is_last: bool

    @property
    def count(self) -> int:
        """Number of its items."""
        return len(self.keys) + len(self.letters)


def open_requests(connection: Connection) -> list[Republication]:
    """Return the requests that are not finished, oldest first."""
    rows = connection.execute(
        select(republication).where(republication.c.finished_at.is_(None)).order_by(republication.c.id)
    )
    return [Republication(**row) for row in rows.mappings()]


def read_request(connection: Connection, number: int) -> Republication | None:
    """Return a request by its number."""
    row = connection.execute(select(republication).where(republication.c.id == number)).mappings().first()
    return None if row is None else Republication(**row)


def ask(connection: Connection, request: dict[str, Any]) -> int:
    """Store a request, given by the columns of ``republication``; return its number."""
    return int(connection.execute(insert(republication).values(**request).returning(republication.c.id)).scalar_one())


def amount_of(connection: Connection, name: str, keys: Sequence[UUID] | None) -> Amount:
    """Count what would be published again."""
    if name not in record_topics():
        letters = select(func.count()).select_from(_letters().subquery())
        return Amount(int(connection.execute(letters, {"topic": topic_of_letters(name)}).scalar_one()), 0)
    every = _every_key(name).subquery()
    counted = select(func.count(), func.count().filter(~every.c.held)).select_from(every)
    if keys is not None:
        counted = counted.where(every.c.key.in_(keys))
    return Amount(*(int(count) for count in connection.execute(counted).one()))


def next_page(connection: Connection, request: Republication) -> Page:
    """Return the next page of a request."""
    if request.name not in record_topics():
        return _page_of_letters(connection, request)
    after = UUID(request.after) if request.after else UUID(int=0)
    if request.keys is not None:
        wanted = sorted(key for key in request.keys if key > after)
        keys = wanted[:PAGE]
    else:
        keys = list(connection.execute(keys_after(request.name), {"after": after, "most": PAGE}).scalars())
    return Page(request, keys, (), str(keys[-1]) if keys else request.after, len(keys) < PAGE)


def _page_of_letters(connection: Connection, request: Republication) -> Page:
    log, place = (int(part) for part in request.after.split("/")) if request.after else (-1, -1)
    later = tuple_(dead_letter.c.log, dead_letter.c.log_offset) > tuple_(literal(log), literal(place))
    wanted = _letters().where(later).order_by(dead_letter.c.log, dead_letter.c.log_offset).limit(PAGE)
    rows = connection.execute(wanted, {"topic": topic_of_letters(request.name)}).all()
    after = f"{rows[-1].log}/{rows[-1].log_offset}" if rows else request.after
    return Page(request, (), rows, after, len(rows) < PAGE)


def move_request(connection: Connection, page: Page) -> None:
    """Store that a page is published."""
    connection.execute(
        update(republication)
        .where(republication.c.id == page.request.id)
        .values(
            done=republication.c.done + page.count,
            after=page.after,
            finished_at=func.now() if page.is_last else None,
        )
    )


@cache
def keys_after(name: str) -> Select[Any]:
    """Select the next ``:most`` keys of a name after ``:after``, in order, with the tables' own indexes."""
    after, most = bindparam("after", type_=Uuid), bindparam("most", type_=BigInteger)
    if name == FLAG_RECORDS:
        return select(flag.c.id.label("key")).where(flag.c.id > after).order_by(flag.c.id).limit(most)
    parts: list[Subquery] = []
    for column in _key_columns(name):
        distinct = select(column.label("key")).where(column > after).group_by(column)
        parts.append(distinct.order_by(column).limit(most).subquery())
    found = union(*(select(part.c.key) for part in parts)).subquery()
    return select(found.c.key).order_by(found.c.key).limit(most)


def _key_columns(name: str) -> list[Any]:
    entity = next(entity for entity in ENTITIES if entity.name == name)
    return [aspect_tables(aspect.subject).record.c.key for aspect in entity.aspects]


def _every_key(name: str) -> Select[Any]:
    """Select every key of a name, and whether any source holds any of its aspects (``held``)."""
    if name == FLAG_RECORDS:
        return select(flag.c.id.label("key"), flag.c.closed_at.is_(None).label("held"))
    entity = next(entity for entity in ENTITIES if entity.name == name)
    records = [aspect_tables(aspect.subject).record for aspect in entity.aspects]
    keys = union(*(select(record.c.key) for record in records)).subquery("every")
    held = or_(*(exists().where(and_(record.c.key == keys.c.key, record.c.source.is_not(None))) for record in records))
    return select(keys.c.key, held.label("held"))


def _letters() -> Select[Any]:
    return (
        select(dead_letter, log_partition.c.topic, log_partition.c.partition)
        .join(log_partition, log_partition.c.id == dead_letter.c.log)
        .where(log_partition.c.topic == bindparam("topic"))
    )
