"""A topic that share writes to is made anew: an alert, a plan, and all of it is published again."""

import asyncio
import time
import uuid
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from sqlalchemy import func, select

import hub.share.republish as pages
from hub.log.topic_ids import topic_ids
from hub.model.entities import CITIZEN
from hub.model.errors import ConfigError
from hub.operate.actions import Action
from hub.operate.log.topics import create_topics, plan_topics
from hub.operate.share_republish import ask_again, plan_again
from hub.share.share import Share, ShareBugError
from hub.share.tail import tail
from hub.topology import dead_letter_topic, record_topic, topics
from hub.warehouse.batch import Accepted
from hub.warehouse.tables.share import share_topic
from tests.conftest import RunningEngine
from tests.support.merge_world import SUBJECT, TOPIC, Said, World
from tests.support.patience import HANG_S

RECORDS = record_topic(CITIZEN)
SECRET = "a secret of the tests"  # noqa: S105 - of no system
LIMIT_S = HANG_S
BY = Action("H01-007", "share.republish", "the topic was lost")
ALERTS = "SELECT name, place, detail FROM alert WHERE closed_at IS NULL"


@pytest.fixture(scope="module", autouse=True)
def _topics(engine: RunningEngine) -> None:
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)


@pytest.fixture
def keys(world: World) -> list[UUID]:
    """Citizens of the warehouse, in their order; the last was taken back by its source."""
    made = sorted(uuid.uuid4() for _ in range(7))
    frame = world.frame(SUBJECT, [Said(1, "population", 1).fields()] * 7, made, 0)
    world.commit_frames(0, Accepted(SUBJECT, frame))
    gone = Said(1, "population", 2, operation="REVOKE").fields()
    world.commit_frames(0, Accepted(SUBJECT, world.frame(SUBJECT, [gone], made[-1:], 0)))
    return made


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two keys."""
    monkeypatch.setattr(pages, "PAGE", 2)


def sharing(world: World, engine: RunningEngine) -> Share:
    return Share(world.engine, engine.bootstrap, SECRET)


def share_once(world: World, engine: RunningEngine) -> int:
    share = sharing(world, engine)
    asyncio.run(asyncio.wait_for(share.run(once=True), LIMIT_S))
    return share.published


def make_anew(engine: RunningEngine, topic: str) -> None:
    """Delete a topic and create it as `hub topics ensure` does."""
    before = topic_ids(engine.bootstrap, [topic])[topic]
    client = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    client.delete_topics([topic])
    client.close()
    deadline = time.monotonic() + LIMIT_S
    while topic_ids(engine.bootstrap, [topic]).get(topic, before) == before:
        assert time.monotonic() < deadline
        create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)
        time.sleep(0.1)


def on_portal(engine: RunningEngine, keys: list[UUID]) -> dict[UUID, Any]:
    """Return the newest version of each key on the portal's topic; None: a tombstone."""
    found = tail(engine.bootstrap, RECORDS, unmask=False, until_end=True)
    return {one.key: one.fields and one.fields["person"]["source_version"] for one in found if one.key in keys}


def everything(keys: list[UUID]) -> dict[UUID, Any]:
    return dict.fromkeys(keys[:-1], 1) | {keys[-1]: None}


def test_topic_made_anew_is_an_alert_and_is_filled_again(
    world: World, engine: RunningEngine, keys: list[UUID], small_pages: None
) -> None:
    assert share_once(world, engine) == 7
    make_anew(engine, RECORDS)
    assert share_once(world, engine) == 0
    assert on_portal(engine, keys) == {}
    ((name, place, detail),) = world.rows(ALERTS)
    assert (name, place) == ("record_topic_anew", RECORDS)
    assert "hub share republish citizen --execute" in detail
    plan = plan_again(world.engine, engine.bootstrap, "citizen")
    assert (plan.amount.records, plan.amount.tombstones, plan.is_anew) == (7, 1, True)
    number = ask_again(world.engine, plan, BY)
    assert share_once(world, engine) == 7
    assert on_portal(engine, keys) == everything(keys)
    assert world.rows(ALERTS) == []
    assert world.rows("SELECT id, total, done, finished_at IS NOT NULL FROM republication") == [(number, 7, 7, True)]
    ((actor, action, purpose, of_what),) = world.rows("SELECT actor, action, purpose, detail FROM action")
    assert (actor, action, purpose) == ("H01-007", "share.republish", "the topic was lost")
    assert of_what["name"] == "citizen"
    assert of_what["records"] == 7
    assert share_once(world, engine) == 0


def test_what_changes_meanwhile_is_not_published_older(
    world: World, engine: RunningEngine, keys: list[UUID], small_pages: None
) -> None:
    share_once(world, engine)
    make_anew(engine, RECORDS)
    newer = Said(1, "population", 2).fields()
    world.commit_frames(0, Accepted(SUBJECT, world.frame(SUBJECT, [newer], keys[:1], 0)))
    ask_again(world.engine, plan_again(world.engine, engine.bootstrap, "citizen"), BY)
    share_once(world, engine)
    assert on_portal(engine, keys) == everything(keys) | {keys[0]: 2}


async def test_what_is_cut_off_goes_on_where_it_was(
    world: World, engine: RunningEngine, keys: list[UUID], small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.wait_for(sharing(world, engine).run(once=True), LIMIT_S)
    plan = await asyncio.to_thread(plan_again, world.engine, engine.bootstrap, "citizen")
    number = await asyncio.to_thread(ask_again, world.engine, plan, BY)
    first = sharing(world, engine)
    done = first._done
    monkeypatch.setattr(first, "_done", lambda *arguments: _until(first, done, *arguments))
    with pytest.raises(ShareBugError, match="_CutOffError"):
        await asyncio.wait_for(first.run(once=True), LIMIT_S)
    assert first.published == 4
    again = await asyncio.to_thread(plan_again, world.engine, engine.bootstrap, "citizen")
    assert again.under_way is not None
    assert (again.under_way.id, again.under_way.done) == (number, 4)
    assert await asyncio.to_thread(ask_again, world.engine, again, BY) == number
    second = sharing(world, engine)
    await asyncio.wait_for(second.run(once=True), LIMIT_S)
    assert second.published == 3
    assert await asyncio.to_thread(on_portal, engine, keys) == everything(keys)


class _CutOffError(Exception):
    """The process ends here."""


def _until(share: Share, done: Any, *arguments: Any) -> bool:
    found: bool = done(*arguments)
    if share.published >= 4:
        raise _CutOffError
    return found


def test_only_some_keys_are_published_again_and_the_topic_stays_in_doubt(
    world: World, engine: RunningEngine, keys: list[UUID]
) -> None:
    share_once(world, engine)
    make_anew(engine, RECORDS)
    plan = plan_again(world.engine, engine.bootstrap, "citizen", [keys[1], keys[-1], uuid.uuid4()])
    assert (plan.amount.records, plan.amount.tombstones) == (2, 1)
    ask_again(world.engine, plan, BY)
    share_once(world, engine)
    assert on_portal(engine, keys) == {keys[1]: 1, keys[-1]: None}
    assert [row.name for row in world.rows(ALERTS)] == ["record_topic_anew"]


def test_topic_of_dead_letters_is_filled_again_too(
    world: World, engine: RunningEngine, keys: list[UUID], small_pages: None
) -> None:
    topic = dead_letter_topic(TOPIC)
    with world.engine.begin() as connection:
        for offset in range(5):
            connection.exec_driver_sql(
                "INSERT INTO dead_letter (log, log_offset, reason, detail, record_value, value_bytes, value_sha256) "
                "VALUES (%s, %s, 'BAD_MAGIC', 'of a test', %s, 3, 'x')",
                (world.logs[0], 1000 + offset, b"abc"),
            )
    share_once(world, engine)
    make_anew(engine, topic)
    share_once(world, engine)
    assert [row.place for row in world.rows(ALERTS)] == [topic]
    plan = plan_again(world.engine, engine.bootstrap, "citizen.changed.dlq")
    assert plan.amount.records == 5
    ask_again(world.engine, plan, BY)
    share_once(world, engine)
    assert world.rows(ALERTS) == []
    consumer = KafkaConsumer(bootstrap_servers=engine.bootstrap, group_id=None, isolation_level="read_committed")
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    found: list[Any] = []
    deadline = time.monotonic() + LIMIT_S
    while len(found) < 5 and time.monotonic() < deadline:
        found += [record for records in consumer.poll(timeout_ms=500).values() for record in records]
    consumer.close()
    origins = [dict(record.headers)["hub.origin"].decode() for record in found]
    assert origins == [f"{TOPIC}/0/{1000 + offset}" for offset in range(5)]


def test_name_that_is_none_is_refused_with_those_there_are(world: World, engine: RunningEngine) -> None:
    with pytest.raises(ConfigError, match=r"citizen, dossier, flag, .*citizen\.changed\.dlq"):
        plan_again(world.engine, engine.bootstrap, "citizens")
    with pytest.raises(ConfigError, match="keys"):
        plan_again(world.engine, engine.bootstrap, "citizen.changed.dlq", [uuid.uuid4()])


def test_ids_of_all_topics_are_kept_when_they_are_seen_first(world: World, engine: RunningEngine) -> None:
    share_once(world, engine)
    with world.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(share_topic)).scalar_one() == 14
