"""Share on the real broker: what the warehouse holds arrives, once, from one instance at a time."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition

from hub.codec.decode import MASK
from hub.model.entities import CITIZEN
from hub.model.errors import HubError
from hub.operate.log.topics import create_topics, plan_topics
from hub.share.share import Share
from hub.share.tail import PortalRecord, tail
from hub.topology import (
    HEADER_ORIGIN,
    HEADER_REASON,
    MAX_RECORD_BYTES,
    dead_letter_topic,
    record_topic,
    topics,
)
from hub.warehouse.batch import Accepted, Advance, Batch
from tests.conftest import RunningEngine
from tests.support.merge_world import SUBJECT, TOPIC, Said, World
from tests.support.patience import HANG_S

RECORDS = record_topic(CITIZEN)
SECRET = "a secret of the tests"  # noqa: S105 - of no system
_LIMIT_S = HANG_S


@pytest.fixture(scope="module", autouse=True)
def _topics(engine: RunningEngine) -> None:
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)


@pytest.fixture
def keys() -> list[UUID]:
    """Keys that no other test has: the topics are shared."""
    return [uuid.uuid4() for _ in range(3)]


def say(world: World, key: UUID, version: int, **more: Any) -> None:
    said = Said(1, "population", version, **more)
    world.commit_frames(0, Accepted(SUBJECT, world.frame(SUBJECT, [said.fields()], [key], 0), [b""]))


def share_once(world: World, engine: RunningEngine) -> int:
    share = Share(world.engine, engine.bootstrap, SECRET)
    asyncio.run(asyncio.wait_for(share.run(once=True), _LIMIT_S))
    return share.published


def of_portal(engine: RunningEngine, keys: list[UUID]) -> list[PortalRecord]:
    found = tail(engine.bootstrap, RECORDS, unmask=False, until_end=True)
    return [record for record in found if record.key in keys]


def versions(records: list[PortalRecord]) -> list[Any]:
    return [record.fields and record.fields["person"]["source_version"] for record in records]


def test_record_arrives_masked_and_is_not_sent_again(world: World, engine: RunningEngine, keys: list[UUID]) -> None:
    say(world, keys[0], 1)
    assert share_once(world, engine) == 1
    assert share_once(world, engine) == 0
    (record,) = of_portal(engine, keys)
    assert record.fields is not None
    assert record.fields["pin"] == MASK
    assert record.fields["person"]["full_name"] == MASK
    assert record.fields["person"]["source"] == "population"
    assert record.fields["identity"] is None
    assert "000299" not in json.dumps(record.fields, default=str)


def test_key_that_changed_often_is_sent_once_and_its_tombstone_last(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    for version in (1, 2, 3):
        say(world, keys[0], version)
    assert share_once(world, engine) == 1
    say(world, keys[0], 4, operation="REVOKE")
    assert share_once(world, engine) == 1
    assert versions(of_portal(engine, keys)) == [3, None]


def test_same_value_is_sent_when_a_position_was_lost(world: World, engine: RunningEngine, keys: list[UUID]) -> None:
    say(world, keys[0], 1)
    share_once(world, engine)
    with world.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM share_position")
    assert share_once(world, engine) == 1
    one, other = of_portal(engine, keys)
    assert one.fields == other.fields


def dead_letters_of(engine: RunningEngine, reason: bytes) -> Iterator[Any]:
    place = TopicPartition(dead_letter_topic(TOPIC), 0)
    consumer = KafkaConsumer(
        bootstrap_servers=engine.bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 * 1_048_576,
    )
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end = consumer.end_offsets([place])[place]
    quiet = 0
    while consumer.position(place) < end and quiet < 3:
        polled = consumer.poll(timeout_ms=1000)
        quiet = 0 if polled else quiet + 1
        for record in polled.get(place, []):
            if dict(record.headers)[HEADER_REASON] == reason:
                yield record
    consumer.close()


def test_dead_letters_arrive_with_their_bytes_reason_and_origin_even_the_largest(
    world: World, engine: RunningEngine
) -> None:
    reason = f"REASON_{uuid.uuid4().hex}"
    largest = uuid.uuid4().bytes * (MAX_RECORD_BYTES // 16)
    rows = [(b"key", b"bytes"), (None, None), (b"key", largest)]
    frame = pl.DataFrame(
        [
            {
                "log": world.logs[0],
                "log_offset": offset,
                "reason": reason,
                "detail": "of a test",
                "record_key": key,
                "record_value": value,
                "value_bytes": len(value or b""),
                "value_sha256": b"digest",
            }
            for offset, (key, value) in enumerate(rows)
        ]
    ).with_columns(pl.col("log").cast(pl.Int16), pl.col("value_bytes").cast(pl.Int32))
    refused = frame.select("log", "log_offset", "reason", "detail", outcome=pl.lit("dead_lettered"))
    advance = Advance(world.logs[0], TOPIC, 0, 0, len(rows), len(rows))
    world.store.commit(Batch((advance,), (), refused, frame))
    assert share_once(world, engine) == len(rows)
    found = list(dead_letters_of(engine, reason.encode()))
    assert [(record.key, record.value) for record in found] == [rows[0], (None, b""), rows[2]]
    origins = [dict(record.headers)[HEADER_ORIGIN].decode() for record in found]
    assert origins == [f"{TOPIC}/0/{offset}" for offset in range(3)]


async def test_second_instance_waits_for_the_first_and_then_takes_over(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    first, second = (Share(world.engine, engine.bootstrap, SECRET) for _ in range(2))
    say(world, keys[0], 1)
    running = asyncio.create_task(first.run())
    await _until(lambda: first.published == 1)
    waiting = asyncio.create_task(second.run())
    await asyncio.sleep(1.0)
    await asyncio.to_thread(say, world, keys[1], 1)
    await _until(lambda: first.published == 2)
    assert second.published == 0
    await _stop(running)
    await asyncio.to_thread(say, world, keys[2], 1)
    await _until(lambda: second.published == 1)
    await _stop(waiting)
    found = await asyncio.to_thread(of_portal, engine, keys)
    assert sorted(record.key for record in found) == sorted(keys)


async def test_instance_that_waits_can_be_stopped(world: World, engine: RunningEngine) -> None:
    first, second = (Share(world.engine, engine.bootstrap, SECRET) for _ in range(2))
    running = asyncio.create_task(first.run())
    await asyncio.sleep(1.0)
    waiting = asyncio.create_task(second.run())
    await asyncio.sleep(1.0)
    await asyncio.wait_for(_stop(waiting), 5.0)
    await _stop(running)


async def _until(is_so: Any) -> None:
    async with asyncio.timeout(_LIMIT_S):
        while not is_so():
            await asyncio.sleep(0.05)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_tail_shows_committed_records_only_and_ends(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    await asyncio.to_thread(say, world, keys[0], 1)
    await asyncio.to_thread(share_in_thread, world, engine)
    producer = AIOKafkaProducer(bootstrap_servers=engine.bootstrap, transactional_id=f"test.{keys[0]}")
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(RECORDS, None, key=keys[1].bytes)
        await producer.abort_transaction()
    finally:
        await producer.stop()
    found = await asyncio.to_thread(of_portal, engine, keys)
    assert [record.key for record in found] == [keys[0]]


def share_in_thread(world: World, engine: RunningEngine) -> None:
    share_once(world, engine)


def test_tail_says_so_when_the_topic_is_not_there(engine: RunningEngine, unique: str) -> None:
    with pytest.raises(HubError, match=unique):
        list(tail(engine.bootstrap, unique, unmask=False, until_end=True))
