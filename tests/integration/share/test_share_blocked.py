"""A topic that is missing or broken, or whose records cannot be composed, is blocked by itself; a bug ends nothing.

The module's Kafka has access control, so that a topic can be closed to share.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ACL, ACLFilter, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from hub.config import Settings
from hub.embedded import kafka as embedded_kafka
from hub.embedded.engine import Engine
from hub.model.entities import CITIZEN, DOSSIER
from hub.model.processes import Limits
from hub.operate.actions import Action
from hub.operate.log.topics import create_topics, plan_topics
from hub.operate.share_republish import ask_again, plan_again
from hub.share import blocked, step
from hub.share import share as share_module
from hub.share.compose import Composer
from hub.share.composing import compose_each
from hub.share.report import ShareReport, read_report
from hub.share.send import watched
from hub.share.share import Share, ShareBugError
from hub.share.tail import tail
from hub.topology import dead_letter_topic, record_topic, topics
from hub.warehouse.batch import Accepted
from tests.conftest import RunningEngine
from tests.support.merge_world import SUBJECT, TOPIC, Said, World
from tests.support.patience import HANG_S

CITIZENS, DOSSIERS, LETTERS = record_topic(CITIZEN), record_topic(DOSSIER), dead_letter_topic(TOPIC)
SECRET = "a secret of the tests"  # noqa: S105 - of no system
LIMIT_S = HANG_S
LIMITS = Limits(gone_s=20.0, still_s=120.0, behind_s=300.0)
ODD = "Nguyễn Thị Lẻ"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine whose Kafka knows who may write to a topic: everybody, where nobody has said otherwise."""
    plain = embedded_kafka.configuration

    def with_access(*given: Any) -> dict[str, str]:
        access = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
        }
        return {**plain(*given), **access}

    settings = Settings(data_dir=tmp_path_factory.mktemp("engine"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded_kafka, "configuration", with_access)
        embedded = Engine(settings)
        try:
            places = embedded.up()
            yield RunningEngine(embedded, settings, places.bootstrap, places.key_secret)
        finally:
            embedded.down()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look and try again soon."""
    monkeypatch.setattr(share_module, "_LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(watched, "LOOK_EVERY_S", 0.5)
    monkeypatch.setattr(blocked, "FIRST_S", 0.1)
    monkeypatch.setattr(blocked, "MOST_S", 0.5)


@pytest.fixture(autouse=True)
def _topics(engine: RunningEngine) -> Iterator[None]:
    make_topics(engine)
    yield
    set_access(engine, is_closed=False)


def make_topics(engine: RunningEngine) -> None:
    while missing := plan_topics(engine.bootstrap, topics(2)).missing:
        create_topics(engine.bootstrap, missing, replication=1)


def delete_topic(engine: RunningEngine, topic: str) -> None:
    client = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    client.delete_topics([topic])
    client.close()
    while topic not in {one.name for one in plan_topics(engine.bootstrap, topics(2)).missing}:
        time.sleep(0.05)


def set_access(engine: RunningEngine, is_closed: bool) -> None:
    """Close the topic of citizens to all who write, or open it again; anybody may read it."""
    client = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    topic = ResourcePattern(ResourceType.TOPIC, CITIZENS)
    rules = [
        ("User:ANONYMOUS", "*", ACLOperation.WRITE, ACLPermissionType.DENY, topic),
        *(
            ("User:ANONYMOUS", "*", may, ACLPermissionType.ALLOW, topic)
            for may in (ACLOperation.READ, ACLOperation.DESCRIBE)
        ),
    ]
    if is_closed:
        client.create_acls([ACL(*rule) for rule in rules])
    else:
        client.delete_acls([ACLFilter(*rule) for rule in rules])
    client.close()


def say(world: World, count: int = 1) -> list[UUID]:
    """Have some citizens merged; return their keys."""
    keys = [uuid.uuid4() for _ in range(count)]
    frame = world.frame(SUBJECT, [Said(1, "population", 1).fields()] * count, keys, 0)
    world.commit_frames(0, Accepted(SUBJECT, frame))
    return keys


def touch(world: World, entity: str, offset: int) -> UUID:
    """Note a key of an entity at an offset that share has not passed."""
    key = uuid.uuid4()
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO touched (log, log_offset, entity, key) VALUES (%s, %s, %s, %s)",
            (world.logs[0], offset, entity, key),
        )
    return key


def refuse(world: World, offset: int) -> None:
    """Have a dead letter at an offset that share has not passed."""
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dead_letter (log, log_offset, reason, detail, record_value, value_bytes, value_sha256) "
            "VALUES (%s, %s, 'BAD_MAGIC', 'of a test', 'abc', 3, 'x')",
            (world.logs[0], offset),
        )


def mixed(world: World, count: int = 2) -> tuple[list[UUID], UUID]:
    """Have something new for the topics of citizens, of dossiers and of dead letters."""
    next_offset = world.rows(f"SELECT next_offset FROM log_partition WHERE id = {world.logs[0]}")[0][0]
    dossier = touch(world, "dossier", next_offset)
    refuse(world, next_offset)
    return say(world, count), dossier


def keys_on(engine: RunningEngine, topic: str, wanted: Sequence[UUID]) -> list[UUID]:
    found = tail(engine.bootstrap, topic, unmask=False, until_end=True)
    return sorted(record.key for record in found if record.key in wanted)


def count_on(engine: RunningEngine, topic: str) -> int:
    consumer = KafkaConsumer(bootstrap_servers=engine.bootstrap)
    ends = consumer.end_offsets([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)])
    consumer.close()
    return int(sum(ends.values()))


def report(world: World) -> ShareReport:
    with world.engine.connect() as connection:
        return read_report(connection, LIMITS)


def behind(world: World) -> dict[str, int]:
    return {one.name: one.rows for one in report(world).delays if one.rows}


def alerts(world: World) -> dict[tuple[str, str], str]:
    found = world.rows("SELECT name, place, detail FROM alert WHERE closed_at IS NULL")
    return {(name, place): detail for name, place, detail in found if name != "record_topic_anew"}


def positions(world: World) -> list[Any]:
    return world.rows(
        "SELECT count(*) FROM log_partition l LEFT JOIN share_position s ON s.log = l.id "
        "WHERE coalesce(s.next_offset, l.first_offset) <> l.next_offset"
    )


def new_share(world: World, engine: RunningEngine) -> Share:
    return Share(world.engine, engine.bootstrap, SECRET)


async def run_once(share: Share) -> None:
    await asyncio.wait_for(share.run(once=True), LIMIT_S)


@asynccontextmanager
async def running(world: World, engine: RunningEngine) -> AsyncIterator[Share]:
    share = new_share(world, engine)
    task = asyncio.create_task(share.run())
    try:
        yield share
        assert not task.done(), "share has ended"
    finally:
        task.cancel()
        async with asyncio.timeout(15):
            await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(0.1)


async def test_missing_topic_holds_up_itself_alone_and_has_all_when_it_is_there_again(
    world: World, engine: RunningEngine
) -> None:
    await asyncio.to_thread(delete_topic, engine, CITIZENS)
    letters = count_on(engine, LETTERS)
    people, dossier = mixed(world)
    noted = touch(world, "citizen", 0)
    async with running(world, engine) as share:
        await until(lambda: keys_on(engine, DOSSIERS, [dossier]) and positions(world) == [(0,)])
        assert count_on(engine, LETTERS) > letters
        found = report(world)
        assert list(found.blocked) == [CITIZENS]
        assert "not on Kafka" in found.blocked[CITIZENS].why
        assert not found.is_well
        assert behind(world) == {"citizen": 3}
        ((name, place),) = alerts(world)
        assert (name, place) == ("record_topic_blocked", CITIZENS)
        assert "hub topics ensure" in alerts(world)[name, place]
        later, _ = mixed(world)
        await until(lambda: behind(world) == {"citizen": 5} and positions(world) == [(0,)])
        doing = f"publishes; blocked: {CITIZENS}"
        await until(lambda: [one.beat.doing for one in report(world).processes] == [doing])
        await asyncio.to_thread(make_topics, engine)
        await until(lambda: not report(world).blocked)
        assert sorted(keys_on(engine, CITIZENS, [*people, *later, noted])) == sorted([*people, *later, noted])
        assert behind(world) == {}
        assert alerts(world) == {}
        assert world.rows("SELECT (SELECT count(*) FROM touched), (SELECT count(*) FROM missed_span)") == [(0, 0)]
        assert share.blocked == frozenset()


async def test_topic_that_goes_while_share_runs_holds_up_itself_alone_and_share_can_be_stopped(
    world: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_module, "_LOOK_EVERY_S", 1_000.0)
    people, _ = mixed(world)
    async with running(world, engine) as share:
        await until(lambda: len(keys_on(engine, CITIZENS, people)) == 2)
        await asyncio.to_thread(delete_topic, engine, CITIZENS)
        _, dossier = mixed(world)
        await until(lambda: keys_on(engine, DOSSIERS, [dossier]))
        await until(lambda: share.blocked == {CITIZENS})
        assert behind(world) == {"citizen": 2}


async def test_share_that_waits_for_a_topic_that_has_gone_ends_when_it_is_told_to(
    world: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_module, "_LOOK_EVERY_S", 1_000.0)
    monkeypatch.setattr(watched, "LOOK_EVERY_S", 1_000.0)
    people, _ = mixed(world)
    async with running(world, engine):
        await until(lambda: len(keys_on(engine, CITIZENS, people)) == 2)
        await asyncio.to_thread(delete_topic, engine, CITIZENS)
        mixed(world)
        await asyncio.sleep(2.0)
    assert positions(world) == [(1,)]


async def test_topic_that_share_may_not_write_to_is_blocked_alone_and_tried_again(
    world: World, engine: RunningEngine
) -> None:
    await asyncio.to_thread(set_access, engine, True)
    people, dossier = mixed(world)
    async with running(world, engine):
        await until(lambda: keys_on(engine, DOSSIERS, [dossier]) and positions(world) == [(0,)])
        await until(lambda: report(world).blocked[CITIZENS].tries > 1)
        assert "TopicAuthorizationFailedError" in report(world).blocked[CITIZENS].why
        _, later = mixed(world)
        await until(lambda: keys_on(engine, DOSSIERS, [later]))
        assert keys_on(engine, CITIZENS, people) == []
        await asyncio.to_thread(set_access, engine, False)
        await until(lambda: not report(world).blocked)
        assert keys_on(engine, CITIZENS, people) == sorted(people)
    assert alerts(world) == {}


async def test_topic_whose_records_a_bug_lets_nobody_compose_is_blocked_alone_and_no_value_is_told(
    world: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(self: Composer, connection: Any, keys: Sequence[UUID]) -> Any:
        if self.entity is CITIZEN:
            raise KeyError(ODD)
        return plain(self, connection, keys)

    plain = Composer.records
    people, dossier = mixed(world, 60)
    with monkeypatch.context() as patched:
        patched.setattr(Composer, "records", breaks)
        async with running(world, engine):
            await until(lambda: keys_on(engine, DOSSIERS, [dossier]) and positions(world) == [(0,)])
            why = report(world).blocked[CITIZENS].why
            assert "no record can be composed, 50 were tried: KeyError at test_share_blocked.py" in why
            assert report(world).set_aside == {}
            await until(lambda: ("record_topic_blocked", CITIZENS) in alerts(world))
    share = new_share(world, engine)
    await run_once(share)
    assert share.blocked == frozenset()
    assert len(keys_on(engine, CITIZENS, people)) == 60
    assert ODD not in caplog.text + str(world.rows("SELECT detail FROM alert"))


async def test_bug_around_the_composing_of_one_name_holds_up_its_topic_alone(
    world: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = compose_each

    def breaks(composer: Any, connection: Any, keys: Sequence[UUID]) -> Any:
        if getattr(composer, "entity", None) is CITIZEN:
            connection.exec_driver_sql("SELECT no_such_column FROM citizen_person_claim")
        return plain(composer, connection, keys)

    people, dossier = mixed(world)
    with monkeypatch.context() as patched:
        patched.setattr(step, "compose_each", breaks)
        async with running(world, engine):
            await until(lambda: keys_on(engine, DOSSIERS, [dossier]) and positions(world) == [(0,)])
            why = report(world).blocked[CITIZENS].why
            assert why.startswith("a bug of the hub: ProgrammingError, SQLSTATE 42703; at ")
            assert "test_share_blocked.py" in why
    await run_once(new_share(world, engine))
    assert keys_on(engine, CITIZENS, people) == sorted(people)


async def test_what_a_topic_missed_is_published_in_parts_beside_what_is_new(
    world: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(set_access, engine, True)
    people: list[UUID] = []
    async with running(world, engine) as share:
        while not report(world).blocked:
            people += await asyncio.to_thread(say, world, 1)
            await until(lambda: positions(world) == [(0,)])
        for _ in range(6):
            people += await asyncio.to_thread(say, world, 3)
            await until(lambda: positions(world) == [(0,)])
        monkeypatch.setattr(blocked, "MOST_OFFSETS", 4)
        steps = share._steps
        await asyncio.to_thread(set_access, engine, False)
        for _ in range(5):
            people += await asyncio.to_thread(say, world, 2)
        await until(lambda: not report(world).blocked)
        assert share._steps - steps > 4
    assert keys_on(engine, CITIZENS, people) == sorted(people)


async def test_request_to_publish_again_waits_for_its_topic_and_holds_up_no_other(
    world: World, engine: RunningEngine
) -> None:
    people, _ = mixed(world)
    await run_once(new_share(world, engine))
    plan = plan_again(world.engine, engine.bootstrap, "citizen")
    await asyncio.to_thread(set_access, engine, True)
    ask_again(world.engine, plan, Action("H01-007", "share.republish", "a test"))
    async with running(world, engine):
        await until(lambda: report(world).blocked)
        _, dossier = mixed(world)
        await until(lambda: keys_on(engine, DOSSIERS, [dossier]))
        assert [one.done for one in report(world).requests] == [0]
        await asyncio.to_thread(set_access, engine, False)
        await until(lambda: not report(world).requests)
    assert sorted(keys_on(engine, CITIZENS, people)) == sorted(2 * people)


async def test_request_to_publish_again_to_a_topic_that_has_gone_is_shown_as_blocked(
    world: World, engine: RunningEngine
) -> None:
    people, _ = mixed(world)
    await run_once(new_share(world, engine))
    ask_again(
        world.engine,
        plan_again(world.engine, engine.bootstrap, "citizen"),
        Action("H01-007", "share.republish", "a test"),
    )
    await asyncio.to_thread(delete_topic, engine, CITIZENS)
    async with running(world, engine):
        await until(lambda: ("record_topic_blocked", CITIZENS) in alerts(world))
        await asyncio.to_thread(make_topics, engine)
        await until(lambda: not report(world).requests)
        await until(lambda: not alerts(world))
    assert keys_on(engine, CITIZENS, people) == sorted(people)


async def test_once_says_which_topics_are_blocked_and_ends(world: World, engine: RunningEngine) -> None:
    await asyncio.to_thread(delete_topic, engine, CITIZENS)
    _, dossier = mixed(world)
    share = new_share(world, engine)
    await run_once(share)
    assert share.blocked == {CITIZENS}
    assert keys_on(engine, DOSSIERS, [dossier]) == [dossier]


async def test_bug_in_shares_loop_is_told_and_tried_again_and_share_goes_on_when_it_is_over(
    world: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError(ODD)

    people, _ = mixed(world)
    async with running(world, engine):
        with monkeypatch.context() as patched:
            patched.setattr(step, "changes_in", breaks)
            await until(lambda: ("share_bug", "hub") in alerts(world))
            detail = alerts(world)["share_bug", "hub"]
            assert detail.startswith("KeyError; at tests/integration/share/test_share_blocked.py")
            assert "hub/share/step.py" in detail
            tries = "SELECT count FROM alert WHERE name = 'share_bug' ORDER BY opened_at LIMIT 1"
            await until(lambda: world.rows(tries)[0][0] >= 3)
            await until(
                lambda: any("a bug of the hub: KeyError" in str(one.beat.waits_for) for one in report(world).processes)
            )
        await until(lambda: len(keys_on(engine, CITIZENS, people)) == 2)
        await until(lambda: not alerts(world))
    assert ODD not in caplog.text


async def test_bug_in_what_is_shared_once_is_an_error_without_a_value(
    world: World, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError(ODD)

    mixed(world)
    monkeypatch.setattr(step, "changes_in", breaks)
    with pytest.raises(ShareBugError) as ended:
        await run_once(new_share(world, engine))
    assert "hub/share/step.py" in ended.value.message
    assert ODD not in ended.value.message
