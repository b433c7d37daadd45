"""Compare the portal's topics with the warehouse: the last value of every key, field by field, and no extra key.

It reads both sides itself, with a plain Avro reader and plain selects, so that a fault of ``share`` shows.
"""

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import fastavro
from sqlalchemy import Connection, and_, func, select

from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.codec.fields import FieldKind
from hub.demo.stage import Stage
from hub.log.reader import log_reader, partitions_of, read_from_the_beginning
from hub.model.declaration import Entity
from hub.model.entities import ENTITIES
from hub.share.outbox import unshared
from hub.topology import record_topic
from hub.warehouse.tables import core as tables
from hub.warehouse.tables.entities import AspectTables, aspect_tables, whole_claim

_LIMIT_S = 60.0
_AGAIN_S = 0.5

RecordPart = tuple[UUID, str, str]
"""Key, aspect, and the value of the aspect's part, e.g. PERMANENT; empty if the aspect has no parts."""
Content = tuple[str, Any, list[Any]]
"""Source, time at the source, and the data fields in the schema's order."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the comparison of one entity found.

    Fields:
        records: keys with a golden record in the warehouse.
        on_portal: keys whose last value on the topic is a record.
        differing: keys that are on one side only, or differ in any field.
    """

    entity: str
    records: int
    on_portal: int
    differing: int


def wait_until_equal(stage: Stage) -> tuple[Shown, ...]:
    """Wait until share has caught up, and compare; repeat while anything differs, until the time limit.

    Returns what the last comparison found.
    """
    deadline = time.monotonic() + _LIMIT_S
    is_told = False
    while True:
        stage.check()
        with stage.warehouse() as connection:
            is_late = time.monotonic() > deadline
            if is_late or unshared(connection) == 0:
                if not is_told:
                    stage.say("share has caught up; comparing the portal's topics with the warehouse, field by field")
                    is_told = True
                shown = tuple(
                    compare(entity, connection, stage.where.bootstrap) for entity in ENTITIES if entity.record_topic
                )
                if is_late or not any(one.differing for one in shown):
                    return shown
        time.sleep(_AGAIN_S)


def compare(entity: Entity, connection: Connection, bootstrap: str) -> Shown:
    """Compare one entity's golden records with its topic."""
    held = dict(_held(entity, connection))
    values = last_values(record_topic(entity), bootstrap)
    published = {place: content for value in values.values() for place, content in _published(entity, value)}
    wrong = {place[0] for place in held.keys() ^ published.keys()}
    wrong |= {place[0] for place in held.keys() & published.keys() if held[place] != published[place]}
    return Shown(entity.name, len({place[0] for place in held}), len(values), len(wrong))


def last_values(topic: str, bootstrap: str) -> dict[bytes, bytes]:
    """Return the last value of every key of a topic, up to its present end; deleted keys are left out."""
    found: dict[bytes, bytes] = {}
    with log_reader(bootstrap) as consumer:
        ends = read_from_the_beginning(consumer, partitions_of(consumer, topic))
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for records in consumer.poll(timeout_ms=500, max_records=20_000).values():
                for record in records:
                    if record.value is None:
                        found.pop(record.key, None)
                    else:
                        found[record.key] = record.value
    return found


def _held(entity: Entity, connection: Connection) -> Iterator[tuple[RecordPart, Content]]:
    """Yield what the warehouse holds; of several keys of one thing, what the key with the highest authority says."""
    for shape in _shapes(entity):
        whole, record = whole_claim(shape.tables), shape.tables.record
        claim, same_key, authority = shape.tables.claim, tables.same_key, tables.authority
        same = and_(*(claim.c[name] == record.c[name] for name in (*shape.tables.identity, "source")))
        group = and_(same_key.c.entity == entity.name, same_key.c.key == claim.c.key)
        key = func.coalesce(same_key.c.canonical, claim.c.key)
        rank = and_(authority.c.source == record.c.source, authority.c.aspect == shape.tables.name)
        rows = connection.execute(
            select(key, tables.source.c.code, claim.c.occurred_at, *(whole.c[name] for name in shape.fields))
            .select_from(whole.source)
            .join(record, same)
            .join(tables.source, tables.source.c.id == record.c.source)
            .join(authority, rank)
            .join(same_key, group, isouter=True)
            .where(~claim.c.revoked)
            .order_by(authority.c.rank.desc(), claim.c.occurred_at, tables.source.c.code.desc(), key == claim.c.key)
        )
        # If a place has several rows, the last one counts.
        for found, source, occurred_at, *values in rows:
            yield shape.record_part(found, values), shape.content(source, occurred_at, values)


def _published(entity: Entity, value: bytes) -> Iterator[tuple[RecordPart, Content]]:
    schema_id, datum = wire.unframe(value)
    golden: Any = fastavro.schemaless_reader(io.BytesIO(datum), _parsed(schema_id), None)
    key = golden["key"] if isinstance(golden["key"], UUID) else UUID(bytes=golden["key"])
    for shape in _shapes(entity):
        given = golden.get(shape.name, golden.get(f"{shape.name}s"))
        for one in given if isinstance(given, list) else [given]:
            if one is not None:
                values = [one[name] for name in shape.fields]
                yield shape.record_part(key, values), shape.content(one["source"], one["occurred_at"], values)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How an aspect is compared: its data fields, which of them are lists, and which one is its part."""

    name: str
    tables: AspectTables
    fields: tuple[str, ...]
    lists: tuple[int, ...]
    part: int | None

    def record_part(self, key: UUID, values: Sequence[Any]) -> RecordPart:
        return key, self.name, "" if self.part is None else str(values[self.part])

    def content(self, source: str, occurred_at: Any, values: list[Any]) -> Content:
        """Remove the empty fields from the items of lists: JSON and Avro write absent values differently."""
        for place in self.lists:
            if values[place] is not None:
                values[place] = [
                    {name: item for name, item in one.items() if item is not None} for one in values[place]
                ]
        return source, occurred_at, values


@cache
def _shapes(entity: Entity) -> tuple[_Shape, ...]:
    found = []
    for aspect in entity.aspects:
        of_aspect = aspect_tables(aspect.subject)
        # The entity's key is compared once, apart from the aspects: the record's key is made from it.
        compared = [spec for spec in of_aspect.data if spec.name not in entity.key]
        fields = tuple(spec.name for spec in compared)
        lists = tuple(place for place, spec in enumerate(compared) if spec.kind is FieldKind.JSON)
        part = fields.index(aspect.part[0]) if aspect.part else None
        found.append(_Shape(aspect.name, of_aspect, fields, lists, part))
    return tuple(found)


@cache
def _parsed(schema_id: int) -> Any:
    version = load_catalogue().by_id(schema_id)
    if version is None:
        raise KeyError(schema_id)
    return fastavro.parse_schema(dict(version.schema))
