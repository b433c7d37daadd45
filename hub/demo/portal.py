"""Hold the portal's topics against the warehouse: the last value of every key, field by field, and no key too many.

This reads both sides by itself, with a plain Avro reader and plain selects, so that a fault of ``share`` shows.
"""

import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import fastavro
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Connection, and_, select

from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.demo.stage import Stage
from hub.model.entities import ENTITIES, Entity
from hub.share.outbox import unshared
from hub.topology import record_topic
from hub.warehouse import tables
from hub.warehouse.entity_tables import AspectTables, aspect_tables

_LIMIT_S = 60.0
_AGAIN_S = 0.5

Place = tuple[UUID, str, str]
"""Key, aspect, and the value of the aspect's part, e.g. PERMANENT; empty where the aspect has none."""
Content = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the comparison of one entity found.

    Fields:
        records: keys with a golden record in the warehouse.
        on_portal: keys whose last value on the topic is a record.
        differing: keys that are on one side alone, or differ in any field.
    """

    entity: str
    records: int
    on_portal: int
    differing: int


def wait_until_equal(stage: Stage) -> tuple[Shown, ...]:
    """Wait until share has caught up, and compare; again while something differs, until the time is over.

    Returns what the last comparison found.
    """
    deadline = time.monotonic() + _LIMIT_S
    while True:
        stage.check()
        with stage.warehouse() as connection:
            is_late = time.monotonic() > deadline
            if is_late or unshared(connection) == 0:
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
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None, isolation_level="read_committed"
    )
    found: dict[bytes, bytes] = {}
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500, max_records=20_000).values():
                for record in records:
                    if record.value is None:
                        found.pop(record.key, None)
                    else:
                        found[record.key] = record.value
    finally:
        consumer.close()
    return found


def _held(entity: Entity, connection: Connection) -> Iterator[tuple[Place, Content]]:
    for aspect in entity.aspects:
        yield from _held_of(aspect_tables(aspect.subject), connection)


def _held_of(aspect: AspectTables, connection: Connection) -> Iterator[tuple[Place, Content]]:
    claim, record = aspect.claim, aspect.record
    same = and_(*(claim.c[name] == record.c[name] for name in (*aspect.identity, "source")))
    fields = [spec.name for spec in aspect.data]
    rows = connection.execute(
        select(claim.c.key, tables.source.c.code, claim.c.occurred_at, *(claim.c[name] for name in fields))
        .select_from(record.join(claim, same).join(tables.source, tables.source.c.id == record.c.source))
        .where(~claim.c.revoked)
    )
    for key, source, occurred_at, *values in rows:
        content = _content(dict(zip(fields, values, strict=True)), source, occurred_at)
        yield (key, aspect.aspect.name, _part(aspect, content)), content


def _published(entity: Entity, value: bytes) -> Iterator[tuple[Place, Content]]:
    schema_id, datum = wire.unframe(value)
    golden: Any = fastavro.schemaless_reader(io.BytesIO(datum), _parsed(schema_id), None)
    for aspect in entity.aspects:
        given = golden.get(aspect.name, golden.get(f"{aspect.name}s"))
        of_aspect = aspect_tables(aspect.subject)
        for one in given if isinstance(given, list) else [given]:
            if one is None:
                continue
            # The entity's key stands once, beside the aspects.
            fields = {spec.name: one.get(spec.name, golden.get(spec.name)) for spec in of_aspect.data}
            content = _content(fields, one["source"], one["occurred_at"])
            yield (_uuid(golden["key"]), aspect.name, _part(of_aspect, content)), content


@cache
def _parsed(schema_id: int) -> Any:
    version = load_catalogue().by_id(schema_id)
    if version is None:
        raise KeyError(schema_id)
    return fastavro.parse_schema(dict(version.schema))


def _content(fields: Mapping[str, Any], source: str, occurred_at: Any) -> Content:
    return {"source": source, "occurred_at": occurred_at, **{name: _bare(value) for name, value in fields.items()}}


def _bare(value: Any) -> Any:
    """Lists of records without their empty fields: JSON and Avro write absence differently."""
    if isinstance(value, list):
        return [{name: item for name, item in one.items() if item is not None} for one in value]
    return value


def _part(aspect: AspectTables, content: Content) -> str:
    return "|".join(str(content[name]) for name in aspect.aspect.part)


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(bytes=value)
