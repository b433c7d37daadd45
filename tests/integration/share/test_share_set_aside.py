"""One record that cannot be published is set aside; all others go on, and it is published once it can be."""

import asyncio
import logging
import os
import uuid
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from hub.model.entities import CITIZEN
from hub.operate.log.topics import create_topics, plan_topics
from hub.share.compose import Composer
from hub.share.send.outgoing import Outgoing
from hub.share.send.publisher import MOST_BYTES, Publisher
from hub.share.share import Share
from hub.share.tail import PortalRecord, tail
from hub.topology import MAX_SHARED_BYTES, dead_letter_topic, event_topic, record_topic, topics
from hub.warehouse.batch import Accepted
from tests.conftest import RunningEngine
from tests.support.merge_world import SUBJECT, Said, World
from tests.support.patience import HANG_S

RECORDS = record_topic(CITIZEN)
SECRET = "a secret of the tests"  # noqa: S105 - of no system
LIMIT_S = HANG_S
OPEN = (
    "SELECT topic, item, key, reason, detail, value_bytes, tries FROM set_aside WHERE closed_at IS NULL ORDER BY item"
)
ALERTS = "SELECT name, place, detail FROM alert WHERE closed_at IS NULL"


@pytest.fixture(scope="module", autouse=True)
def _topics(engine: RunningEngine) -> None:
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)


@pytest.fixture
def keys() -> list[UUID]:
    """Keys that no other test has, in their order: the topics are shared."""
    return sorted(uuid.uuid4() for _ in range(4))


def say(world: World, key: UUID, version: int, **more: Any) -> None:
    fields = Said(1, "population", version).fields() | more
    world.commit_frames(0, Accepted(SUBJECT, world.frame(SUBJECT, [fields], [key], 0), [b""]))


def share_once(world: World, engine: RunningEngine) -> int:
    share = Share(world.engine, engine.bootstrap, SECRET)
    asyncio.run(asyncio.wait_for(share.run(once=True), LIMIT_S))
    return share.published


def on_portal(engine: RunningEngine, keys: list[UUID]) -> dict[UUID, list[Any]]:
    """Return the versions of each key on the portal's topic, in their order."""
    found: dict[UUID, list[Any]] = {}
    record: PortalRecord
    for record in tail(engine.bootstrap, RECORDS, unmask=False, until_end=True):
        if record.key in keys:
            found.setdefault(record.key, []).append(record.fields and record.fields["person"]["source_version"])
    return found


def blob(size: int) -> str:
    """Return text that no codec makes much smaller."""
    return (uuid.uuid4().hex * (size // 32 + 1))[:size]


def test_record_too_large_is_set_aside_and_all_others_are_published(
    world: World, engine: RunningEngine, keys: list[UUID], caplog: pytest.LogCaptureFixture
) -> None:
    small, large, other = keys[:3]
    for key, size in ((small, 10), (large, MAX_SHARED_BYTES), (other, 10)):
        say(world, key, 1, birth_place=blob(size))
    with caplog.at_level(logging.WARNING):
        assert share_once(world, engine) == 2
    assert on_portal(engine, keys) == {small: [1], other: [1]}
    ((topic, item, key, reason, detail, size, tries),) = world.rows(OPEN)
    assert (topic, item, key, reason, tries) == (RECORDS, str(large), large, "TOO_LARGE", 1)
    assert size > MAX_SHARED_BYTES
    assert f"{size} bytes" in detail
    ((name, place, said),) = world.rows(ALERTS)
    assert (name, place) == ("record_set_aside", RECORDS)
    assert str(large) in said
    assert str(large) in caplog.text
    assert world.rows(
        "SELECT count(*) FROM log_partition l JOIN share_position s ON s.log = l.id "
        "WHERE s.next_offset <> l.next_offset"
    ) == [(0,)]


def test_record_that_fits_again_is_published_and_the_entry_and_the_alert_close(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    key = keys[0]
    say(world, key, 1, birth_place="Hà Nội")
    assert share_once(world, engine) == 1
    say(world, key, 2, birth_place=blob(MAX_SHARED_BYTES))
    assert share_once(world, engine) == 0
    assert on_portal(engine, keys) == {key: [1]}, (
        "the state of before stays; a tombstone would say that nobody holds it"
    )
    say(world, key, 3, birth_place=blob(MAX_SHARED_BYTES))
    assert share_once(world, engine) == 0
    assert [row.tries for row in world.rows(OPEN)] == [2]
    assert share_once(world, engine) == 0
    assert [row.tries for row in world.rows(OPEN)] == [3], "share tries it when it begins"
    say(world, key, 4, birth_place="Hà Nội")
    assert share_once(world, engine) == 1
    assert on_portal(engine, keys) == {key: [1, 4]}
    assert world.rows(OPEN) == []
    assert world.rows(ALERTS) == []


def test_record_that_becomes_nobodys_is_a_tombstone_and_no_longer_set_aside(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    say(world, keys[0], 1, birth_place=blob(MAX_SHARED_BYTES))
    assert share_once(world, engine) == 0
    say(world, keys[0], 2, operation="REVOKE")
    assert share_once(world, engine) == 1
    assert on_portal(engine, keys) == {keys[0]: [None]}
    assert world.rows(OPEN) == []


async def test_record_of_just_the_limit_is_taken_and_one_of_a_byte_more_is_not(engine: RunningEngine) -> None:
    topic = dead_letter_topic(event_topic("inspection.changed"))
    headers = (("name", b"value"),)

    def sized(size: int, item: str) -> Outgoing:
        return Outgoing(topic, b"k" * 16, os.urandom(size - 16 - 9), item, None, headers)

    limits = [sized(MOST_BYTES, "at the limit"), sized(MOST_BYTES + 1, "above it"), sized(MOST_BYTES - 1, "below it")]
    assert [one.size - MOST_BYTES for one in limits] == [0, 1, -1]
    async with Publisher(engine.bootstrap, "test.limits") as publisher:
        sent = await publisher.publish([*limits, sized(100, "small")])
    assert sent.broken == {}
    assert [(item.item, why.reason.value) for item, why in sent.refused] == [("above it", "TOO_LARGE")]


def test_record_that_the_broker_refuses_is_set_aside_and_all_others_are_published(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    for key, size in zip(keys, (10, 60_000, 10, 10), strict=True):
        say(world, key, 1, birth_place="".join(uuid.uuid4().hex for _ in range(size // 32 + 1)))
    with _TopicTakes(engine, 20_000):
        assert share_once(world, engine) == 3
        assert on_portal(engine, keys) == {key: [1] for key in keys if key != keys[1]}
        assert [(row.key, row.reason) for row in world.rows(OPEN)] == [(keys[1], "REFUSED_BY_BROKER")]
        assert share_once(world, engine) == 0
    assert share_once(world, engine) == 1, "the topic takes it again: what was set aside is tried when share begins"
    assert on_portal(engine, keys) == {key: [1] for key in keys}
    assert world.rows(OPEN) == []


class _TopicTakes:
    """Lower what the topic of citizens lets in, and put it right again."""

    def __init__(self, engine: RunningEngine, most: int) -> None:
        self._bootstrap, self._most = engine.bootstrap, most

    def __enter__(self) -> None:
        self._set(self._most)

    def __exit__(self, *_: object) -> None:
        self._set(MAX_SHARED_BYTES)

    def _set(self, most: int) -> None:
        client = KafkaAdminClient(bootstrap_servers=self._bootstrap)
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, RECORDS, {"max.message.bytes": str(most)})])
        client.close()


def test_record_that_the_schema_refuses_is_set_aside(
    world: World, engine: RunningEngine, keys: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in keys:
        say(world, key, 1)
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE citizen_person_claim SET gender = 'GREEN' WHERE key = %s", (keys[2],))
    assert share_once(world, engine) == 3
    ((_, _, key, reason, detail, _, _),) = world.rows(OPEN)
    assert (key, reason) == (keys[2], "NOT_ENCODABLE")
    assert "gender" in detail
    assert "GREEN" not in detail
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE citizen_person_claim SET gender = 'MALE'")
    assert share_once(world, engine) == 1
    assert on_portal(engine, keys) == {key: [1] for key in keys}
    assert world.rows(OPEN) == []
    assert world.rows(ALERTS) == []


def test_bug_in_composing_one_record_sets_that_record_aside(
    world: World, engine: RunningEngine, keys: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in keys:
        say(world, key, 1, full_name="Người Mang Tên")
    plain = Composer.records

    def wrong(self: Composer, connection: Any, wanted: pa.Array) -> Any:
        found = plain(self, connection, wanted)
        if keys[3].bytes in found.keys.to_pylist() and self.entity is CITIZEN:
            raise KeyError("Người Mang Tên")
        return found

    monkeypatch.setattr(Composer, "records", wrong)
    assert share_once(world, engine) == 3
    ((_, _, key, reason, detail, _, _),) = world.rows(OPEN)
    assert (key, reason) == (keys[3], "NOT_COMPOSED")
    assert "KeyError" in detail
    assert "test_share_set_aside.py" in detail
    assert "Người" not in detail, "an exception may hold a value (I8)"
    monkeypatch.undo()
    assert share_once(world, engine) == 1
    assert world.rows(OPEN) == []


def test_row_that_postgresql_cannot_read_sets_that_record_aside(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    for key in keys:
        say(world, key, 1)
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO same_key (entity, key, canonical) VALUES ('citizen', %s, %s)", (keys[1], keys[1])
        )
        connection.exec_driver_sql(
            "UPDATE citizen_person_claim SET occurred_at = 'infinity' WHERE key = %s", (keys[1],)
        )
    assert share_once(world, engine) == 3
    ((_, _, key, reason, _, _, _),) = world.rows(OPEN)
    assert (key, reason) == (keys[1], "NOT_COMPOSED")
