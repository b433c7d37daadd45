"""Fill a topic with citizen events, quickly: the benchmark's input, not its subject."""

import io
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import fastavro
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.model.keys import entity_key
from hub.topology import event_topic

SUBJECT = "citizen.changed"
TOPIC = event_topic(SUBJECT)
DISTINCT = 0.43
"""Share of distinct keys among the events."""


class Kind(StrEnum):
    """What the invented events are about: people, or where they live."""

    CITIZEN = "citizen"
    RESIDENCE = "residence"

    @property
    def subject(self) -> str:
        """The schema of the events."""
        return f"{self.value}.changed"

    @property
    def topic(self) -> str:
        """Where the events travel."""
        return event_topic(self.subject)


_FAMILY = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ")
_GIVEN = ("An", "Bình", "Chi", "Dũng", "Giang", "Hạnh", "Khánh", "Linh", "Minh", "Ngọc")


def citizen_events(
    count: int, secret: str, source: str, seed: int = 1, all_new: bool = False
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of ``count`` events about 43 % as many invented people (born in 2099), 14 fields filled.

    ``all_new``: each event is about another person.
    """
    return events(Kind.CITIZEN, count, secret, source, seed=seed, all_new=all_new)


def events(
    kind: Kind, count: int, secret: str, source: str, first_version: int = 0, seed: int = 1, all_new: bool = False
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of events about invented people; versions rise by one from the first."""
    version = load_catalogue().latest(kind.subject)
    schema = fastavro.parse_schema(dict(version.schema))
    header = wire.header(version.schema_id)
    chance = random.Random(seed)
    occurred = datetime(2025, 6, 1, tzinfo=UTC)
    for number in range(first_version, first_version + count):
        person = number if all_new else chance.randrange(int(count * DISTINCT) + 1)
        pin = f"000299{person:06d}"
        event = {
            "event_id": UUID(int=chance.getrandbits(128)).bytes,
            "occurred_at": occurred,
            "recorded_at": occurred,
            "source_system": source,
            "source_agency": "G01",
            "source_epoch": 1,
            "source_version": number,
            "operation": "UPDATE",
            "unit_scheme": "GSO_2004",
            "pin": pin,
            **_fields(kind, person),
        }
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, schema, event)
        yield entity_key(secret, "citizen", [pin]), header + buffer.getvalue()


def _fields(kind: Kind, person: int) -> dict[str, Any]:
    if kind is Kind.RESIDENCE:
        return {"kind": "PERMANENT", "action": "REGISTER", "detail_text": f"{person % 300 + 1} Trần Hưng Đạo"}
    family, given = _FAMILY[person % 10], _GIVEN[person // 10 % 10]
    return {
        "full_name": f"{family} {given} {person}",
        "birth_year": 2099,
        "birth_month": person % 12 + 1,
        "gender": "MALE" if person % 2 else "FEMALE",
    }


async def fill(bootstrap: str, secret: str, source: str, count: int, partitions: int, all_new: bool = False) -> float:
    """Produce the events in LZ4 batches; return events/s."""
    started = time.monotonic()
    await produce(bootstrap, citizen_events(count, secret, source, all_new=all_new), partitions)
    return count / (time.monotonic() - started)


async def produce(bootstrap: str, made: Iterable[tuple[bytes, bytes]], partitions: int) -> None:
    """Produce (key, value) in LZ4 batches, as large as the producer makes them."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", compression_type="lz4", max_batch_size=512 * 1024, linger_ms=20
    )
    await producer.start()
    try:
        choose = DefaultPartitioner()
        numbers: Sequence[int] = list(range(partitions))
        open_batches = {number: producer.create_batch() for number in numbers}
        for key, value in made:
            number = choose(key, numbers, numbers)
            if open_batches[number].append(key=key, value=value, timestamp=None) is None:
                await producer.send_batch(open_batches[number], TOPIC, partition=number)
                open_batches[number] = producer.create_batch()
                open_batches[number].append(key=key, value=value, timestamp=None)
        for number, batch in open_batches.items():
            if batch.record_count():
                await producer.send_batch(batch, TOPIC, partition=number)
        await producer.flush()
    finally:
        await producer.stop()
