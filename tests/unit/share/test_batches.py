"""Batches made of columns are read by Kafka's clients as what they were made of."""

import os
import random
import uuid
from typing import Any

import pyarrow as pa
import pytest
from aiokafka.record.default_records import DefaultRecordBatch

from hub.codec.columns import BYTES
from hub.codec.partitions import partition_of
from hub.share.send.batches import BATCH_BYTES, batches_of
from hub.share.send.outgoing import Outgoing, golden_record
from hub.share.send.parcel import Parcel, golden_records, parcels_of
from hub.share.send.transaction import partitions_for
from hub.topology import HEADER_POSITION

TOPIC, PARTITIONS = "records", 3
PUBLISHED = (("hub.published_at", b"2026-11-30T00:00:00Z"),)
Read = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


def read(parcel: Parcel) -> dict[int, list[Read]]:
    """Read the batches of a parcel as a consumer does."""
    found: dict[int, list[Read]] = {}
    for partition, batch in batches_of(parcel, partitions_for(parcel.keys, PARTITIONS)):
        batch._set_producer_state(7, 1, 0)
        whole: Any = DefaultRecordBatch(bytes(batch._build()))
        assert whole.validate_crc()
        assert whole.is_transactional
        records = list(whole)
        assert [record.offset for record in records] == list(range(batch.record_count()))
        found.setdefault(partition, []).extend((one.key, one.value, list(one.headers)) for one in records)
    return found


def by_partition(singles: list[Outgoing]) -> dict[int, list[Read]]:
    found: dict[int, list[Read]] = {}
    for one in singles:
        assert one.key is not None
        found.setdefault(partition_of(one.key, PARTITIONS), []).append((one.key, one.value, list(one.headers)))
    return found


@pytest.mark.parametrize("count", [1, 2, 500])
def test_golden_records_are_read_as_they_were_and_each_partition_keeps_its_order(count: int) -> None:
    chance = random.Random(count)
    keys = [uuid.uuid4() for _ in range(count)]
    values = [None if chance.random() < 0.2 else os.urandom(chance.choice((1, 63, 64, 9_000))) for _ in keys]
    values[0] = os.urandom(BATCH_BYTES + 1)
    positions = [None if chance.random() < 0.3 else f"topic/0/{chance.randrange(10**9)}".encode() for _ in keys]
    parcel = golden_records(
        TOPIC,
        pa.array([key.bytes for key in keys], BYTES),
        pa.array(values, BYTES),
        PUBLISHED,
        pa.array(positions, BYTES),
    )
    singles = [
        golden_record(TOPIC, key, value, PUBLISHED + (((HEADER_POSITION, position),) if position else ()))
        for key, value, position in zip(keys, values, positions, strict=True)
    ]
    assert read(parcel) == by_partition(singles)
    assert parcel.sizes.to_pylist() == [one.size for one in singles]
    assert list(parcel.items()) == [one.item for one in singles]


def test_single_records_are_read_as_they_were() -> None:
    singles = [
        Outgoing(TOPIC, b"a short key", None, "1", None, (("reason", b""), ("origin", b"x" * 200))),
        Outgoing(TOPIC, b"a short key", b"", "2"),
        Outgoing(TOPIC, b"k" * 16, b"value", "3"),
    ]
    (parcel,) = parcels_of(singles)
    found = [one for some in read(parcel).values() for one in some]
    assert len(found) == len(singles)
    assert all((one.key, one.value, list(one.headers)) in found for one in singles)
    assert parcel.sizes.to_pylist() == [one.size for one in singles]


def test_record_larger_than_half_a_batch_goes_alone() -> None:
    sizes = [10, BATCH_BYTES // 2 + 100, 10, 10]
    key = b"k" * 16
    (parcel,) = parcels_of([Outgoing(TOPIC, key, b"v" * size, str(size)) for size in sizes])
    counts = [batch.record_count() for _, batch in batches_of(parcel, partitions_for(parcel.keys, PARTITIONS))]
    assert counts == [1, 1, 2]
