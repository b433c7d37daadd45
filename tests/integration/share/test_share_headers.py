"""Published records say when they were published and which row of the audit log changed them last."""

import asyncio
import threading
import uuid
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import text

from hub.model.entities import CITIZEN
from hub.operate.actions import Action
from hub.operate.log.topics import create_topics, plan_topics
from hub.operate.share_republish import ask_again, plan_again
from hub.reconcile.shared.republish import JOB_LOG, job_place, republish_keys
from hub.share.share import Share
from hub.share.tail import PortalRecord, tail
from hub.topology import HEADER_POSITION, HEADER_PUBLISHED_AT, Topic, dead_letter_topic, record_topic, topics
from hub.warehouse.batch import Accepted, Advance, Batch
from hub.warehouse.tables.entities import aspect_tables
from tests.conftest import RunningEngine
from tests.support.merge_world import SUBJECT, TOPIC, Said, World
from tests.support.patience import HANG_S

RECORDS = record_topic(CITIZEN)
SECRET = "a secret of the tests"  # noqa: S105 - of no system
LIMIT_S = HANG_S


@pytest.fixture(scope="module", autouse=True)
def _topics(engine: RunningEngine) -> None:
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)


@pytest.fixture
def keys() -> list[UUID]:
    """Keys that no other test has: the topics are shared."""
    return sorted(uuid.uuid4() for _ in range(3))


def say(world: World, keys: list[UUID], version: int, partition: int = 0, **more: Any) -> None:
    rows = [Said(1, "population", version, **more).fields()] * len(keys)
    world.commit_frames(partition, Accepted(SUBJECT, world.frame(SUBJECT, rows, keys, partition)))


def share_once(world: World, engine: RunningEngine) -> None:
    share = Share(world.engine, engine.bootstrap, SECRET)
    asyncio.run(asyncio.wait_for(share.run(once=True), LIMIT_S))


def headers_on(engine: RunningEngine, topic: str, keys: list[bytes]) -> list[tuple[bytes, bytes | None, Any]]:
    """Return key, value and headers of the records of some keys, in the order of each partition."""
    consumer = KafkaConsumer(bootstrap_servers=engine.bootstrap, isolation_level="read_committed", group_id=None)
    places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found = []
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(timeout_ms=500).values():
            found += [(one.key, one.value, dict(one.headers)) for one in records if one.key in keys]
    consumer.close()
    return found


def positions(engine: RunningEngine, keys: list[UUID]) -> dict[UUID, list[str | None]]:
    found: dict[UUID, list[str | None]] = {}
    for key, _, headers in headers_on(engine, RECORDS, [key.bytes for key in keys]):
        position = headers.get(HEADER_POSITION)
        found.setdefault(UUID(bytes=key), []).append(position and position.decode())
    return found


def clock(world: World) -> datetime:
    now: datetime
    ((now,),) = world.rows("SELECT clock_timestamp()")
    return now


def test_record_says_when_it_was_published_and_which_event_changed_it_last(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    say(world, keys[:2], 1)
    say(world, keys[:1], 2)
    say(world, keys[2:], 1, partition=2)
    before = clock(world)
    share_once(world, engine)
    assert positions(engine, keys) == {keys[0]: [f"{TOPIC}/0/2"], keys[1]: [f"{TOPIC}/0/1"], keys[2]: [f"{TOPIC}/2/0"]}
    for _, _, headers in headers_on(engine, RECORDS, [key.bytes for key in keys]):
        text_of = headers[HEADER_PUBLISHED_AT].decode()
        assert text_of.endswith("Z")
        assert before <= datetime.fromisoformat(text_of) <= clock(world)


def test_of_changes_on_two_logs_the_later_one_is_named_whatever_its_offset(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    say(world, keys[1:], 1, partition=0)
    say(world, keys[:1], 1, partition=0)
    say(world, keys[:1], 2, partition=1)
    share_once(world, engine)
    assert positions(engine, keys[:1]) == {keys[0]: [f"{TOPIC}/1/0"]}


def test_tombstone_says_so_too_and_events_that_change_nothing_are_not_named(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    say(world, keys[:1], 2)
    share_once(world, engine)
    say(world, keys[:1], 3, operation="REVOKE")
    say(world, keys[:1], 1)
    share_once(world, engine)
    (_, value, _), (_, gone, headers) = headers_on(engine, RECORDS, [keys[0].bytes])
    assert value is not None
    assert gone is None
    assert headers[HEADER_POSITION].decode() == f"{TOPIC}/0/1"


def test_a_job_that_touched_the_record_is_its_position(world: World, engine: RunningEngine, keys: list[UUID]) -> None:
    say(world, keys[:1], 1)
    share_once(world, engine)
    claim = aspect_tables(SUBJECT).claim
    with world.engine.begin() as connection:
        place = job_place(connection)
        one = claim.select().with_only_columns(claim.c.key).where(claim.c.key == keys[0])
        republish_keys(connection, place, "citizen", one)
    share_once(world, engine)
    assert positions(engine, keys[:1]) == {keys[0]: [f"{TOPIC}/0/0", f"{JOB_LOG}/0/{place[1]}"]}


def test_member_of_a_group_gives_the_record_of_the_group_its_position(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    with world.engine.begin() as connection:
        linked = text("INSERT INTO same_key (entity, key, canonical) VALUES ('citizen', :key, :canonical)")
        connection.execute(linked, [{"key": key, "canonical": keys[0]} for key in keys[:2]])
    say(world, keys[:1], 1)
    share_once(world, engine)
    say(world, keys[1:2], 7)
    share_once(world, engine)
    assert positions(engine, keys[:1]) == {keys[0]: [f"{TOPIC}/0/0", f"{TOPIC}/0/1"]}


def test_step_that_is_repeated_and_record_that_is_published_again_have_the_same_value(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    say(world, keys[:1], 1)
    share_once(world, engine)
    with world.engine.begin() as connection:
        connection.execute(text("DELETE FROM share_position"))
    share_once(world, engine)
    plan = plan_again(world.engine, engine.bootstrap, "citizen")
    ask_again(world.engine, plan, Action("H01-007", "share.republish", "a test"))
    share_once(world, engine)
    found = headers_on(engine, RECORDS, [keys[0].bytes])
    assert len({value for _, value, _ in found}) == 1
    times = [headers[HEADER_PUBLISHED_AT] for _, _, headers in found]
    assert times == sorted(set(times))
    places = [headers.get(HEADER_POSITION) for _, _, headers in found]
    assert places == [f"{TOPIC}/0/0".encode()] * 2 + [None]


def test_copy_of_a_dead_letter_says_when_it_was_published(world: World, engine: RunningEngine, unique: str) -> None:
    row = {"log": world.logs[0], "log_offset": 0, "reason": "BAD_MAGIC", "detail": "of a test"}
    more = {"record_key": unique.encode(), "record_value": b"x", "value_bytes": 1, "value_sha256": b"digest"}
    frame = pl.DataFrame([row | more]).with_columns(pl.col("log").cast(pl.Int16), pl.col("value_bytes").cast(pl.Int32))
    refused = frame.select("log", "log_offset", "reason", "detail", outcome=pl.lit("dead_lettered"))
    world.store.commit(Batch((Advance(world.logs[0], TOPIC, 0, 0, 1, 1),), (), refused, frame))
    before = clock(world)
    share_once(world, engine)
    ((_, _, headers),) = headers_on(engine, dead_letter_topic(TOPIC), [unique.encode()])
    assert datetime.fromisoformat(headers[HEADER_PUBLISHED_AT].decode()) >= before


def test_tail_shows_both(world: World, engine: RunningEngine, keys: list[UUID]) -> None:
    say(world, keys[:1], 1)
    before = clock(world)
    share_once(world, engine)
    (one,) = [one for one in tail(engine.bootstrap, RECORDS, unmask=False, until_end=True) if one.key == keys[0]]
    assert one.position == f"{TOPIC}/0/0"
    assert one.published_at is not None
    assert before <= datetime.fromisoformat(one.published_at) <= datetime.now(UTC)


def test_tail_that_follows_waits_for_its_topic_and_says_so(engine: RunningEngine, unique: str) -> None:
    said: list[str] = []
    told, there = threading.Event(), threading.Event()

    def waits(words: str) -> None:
        said.append(words)
        (there if told.is_set() else told).set()

    found = tail(engine.bootstrap, unique, unmask=False, until_end=False, waits=waits)
    shown: list[PortalRecord] = []
    following = threading.Thread(target=lambda: shown.append(next(found)))
    following.start()
    assert told.wait(LIMIT_S)
    assert said == [f"there is no topic {unique} yet; waiting for it: `hub topics ensure --execute` makes it"]
    create_topics(engine.bootstrap, (Topic(unique, 1),), replication=1)
    assert there.wait(LIMIT_S)
    assert said[1:] == [f"the topic {unique} is there; waiting for records"]
    producer = KafkaProducer(bootstrap_servers=engine.bootstrap)
    producer.send(unique, None, key=UUID(int=7).bytes).get(LIMIT_S)
    producer.close()
    following.join(LIMIT_S)
    found.close()
    assert [(one.key, one.fields, one.published_at, one.position) for one in shown] == [(UUID(int=7), None, None, None)]
