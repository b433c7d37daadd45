"""How far share is behind, whether it runs, and what it waits for, are there to be seen."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaAdminClient

from hub.cli.share.desk import _shared_until_done
from hub.model.entities import CITIZEN
from hub.model.processes import Condition, Limits
from hub.operate.actions import Action
from hub.operate.log.topics import create_topics, plan_topics
from hub.operate.share_republish import ask_again, plan_again
from hub.reconcile.shared.republish import job_place
from hub.share.heartbeat import Heartbeat
from hub.share.report import ShareReport, read_report
from hub.share.share import Share
from hub.topology import record_topic, topics
from hub.waiting import Waiting
from hub.warehouse.batch import Accepted
from tests.conftest import RunningEngine
from tests.support.merge_world import SUBJECT, Said, World
from tests.support.patience import HANG_S

SECRET = "a secret of the tests"  # noqa: S105 - of no system
LIMIT_S = HANG_S
LIMITS = Limits(gone_s=20.0, still_s=120.0, behind_s=300.0)
ALERTS = "SELECT name, place, detail FROM alert WHERE closed_at IS NULL"
RECORDS = record_topic(CITIZEN)


@pytest.fixture(scope="module", autouse=True)
def _topics(engine: RunningEngine) -> None:
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)


def say(world: World, count: int, version: int = 1) -> list[UUID]:
    keys = [uuid.uuid4() for _ in range(count)]
    frame = world.frame(SUBJECT, [Said(1, "population", version).fields()] * count, keys, 0)
    world.commit_frames(0, Accepted(SUBJECT, frame))
    return keys


def share_once(world: World, engine: RunningEngine) -> None:
    share = Share(world.engine, engine.bootstrap, SECRET)
    asyncio.run(asyncio.wait_for(share.run(once=True), LIMIT_S))


def report(world: World) -> ShareReport:
    with world.engine.connect() as connection:
        return read_report(connection, LIMITS)


def behind(world: World) -> dict[str, int]:
    return {one.name: one.rows for one in report(world).delays}


def test_no_heartbeat_that_was_under_way_follows_the_one_that_says_that_share_ended(
    world: World, engine: RunningEngine
) -> None:
    heartbeat = Heartbeat(world.engine, Waiting())
    heartbeat.beat()
    heartbeat.beat(ended=True)
    heartbeat.beat()
    assert [one.condition for one in report(world).processes] == [Condition.ENDED]


def test_delay_counts_audit_rows_keys_noted_and_dead_letters_until_they_are_shared(
    world: World, engine: RunningEngine
) -> None:
    assert behind(world) == {"citizen": 0, "dossier": 0, "flag": 0}
    say(world, 3)
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit SET recorded_at = recorded_at - interval '2 seconds'")
        log, log_offset = job_place(connection)
        connection.exec_driver_sql(
            "INSERT INTO touched (log, log_offset, entity, key) VALUES (%s, %s, 'dossier', %s)",
            (log, log_offset, uuid.uuid4()),
        )
        connection.exec_driver_sql(
            "INSERT INTO dead_letter (log, log_offset, reason, detail, record_value, value_bytes, value_sha256) "
            "VALUES (%s, 1, 'BAD_MAGIC', 'of a test', 'abc', 3, 'x')",
            (world.logs[0],),
        )
    assert behind(world) == {"citizen": 3, "dossier": 1, "flag": 0, "citizen.changed.dlq": 1}
    delays = {one.name: one for one in report(world).delays}
    assert delays["citizen"].delay_s >= 2
    assert delays["citizen"].since is not None
    assert delays["dossier"].since is not None
    assert (delays["flag"].since, delays["flag"].delay_s) == (None, 0.0)
    share_once(world, engine)
    assert behind(world) == {"citizen": 0, "dossier": 0, "flag": 0}


def test_share_that_never_ran_or_has_ended_does_not_run(world: World, engine: RunningEngine) -> None:
    assert report(world).processes == ()
    assert not report(world).is_well
    share_once(world, engine)
    (one,) = report(world).processes
    assert one.condition is Condition.ENDED
    assert not report(world).is_well


@asynccontextmanager
async def running(world: World, engine: RunningEngine) -> AsyncIterator[Share]:
    """Run a share for a while."""
    share = Share(world.engine, engine.bootstrap, SECRET)
    task = asyncio.create_task(share.run())
    try:
        yield share
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(0.1)


async def test_topic_that_is_not_there_is_named_with_since_when(world: World, engine: RunningEngine) -> None:
    client = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    client.delete_topics([RECORDS])
    try:
        await asyncio.to_thread(say, world, 1)
        async with running(world, engine) as share:
            await until(lambda: bool(report(world).blocked and report(world).processes))
            found = report(world)
            (one,) = found.processes
            assert one.condition is Condition.RUNS
            assert "hub topics ensure --execute" in found.blocked[RECORDS].why
            assert not found.is_well
            await asyncio.to_thread(_make_topics, engine)
            await until(lambda: share.published == 1)
            await until(lambda: report(world).is_well)
    finally:
        client.close()
        _make_topics(engine)


def _make_topics(engine: RunningEngine) -> None:
    deadline = time.monotonic() + LIMIT_S
    while missing := plan_topics(engine.bootstrap, topics(2)).missing:
        assert time.monotonic() < deadline
        create_topics(engine.bootstrap, missing, replication=1)


def test_wait_that_lasts_is_an_alert_until_it_ends(world: World) -> None:
    now = 0.0
    waiting = Waiting(lambda: now)

    heartbeat = Heartbeat(world.engine, waiting)

    def said() -> list[Any]:
        heartbeat.beat()
        return world.rows(ALERTS)

    waiting.waits("no Kafka broker answers share")
    assert said() == []
    now = 61.0
    ((name, place, detail),) = said()
    assert (name, place) == ("share_waits", "hub")
    assert heartbeat.name in detail
    assert "no Kafka broker answers share" in detail
    waiting.goes_on()
    assert said() == []


async def test_request_is_worked_off_by_the_command_when_nobody_shares_and_else_by_who_does(
    world: World, engine: RunningEngine
) -> None:
    def asked() -> int:
        plan = plan_again(world.engine, engine.bootstrap, "citizen")
        return ask_again(world.engine, plan, Action("H01-007", "share.republish", "a test"))

    told: list[tuple[int, int]] = []
    await asyncio.to_thread(say, world, 3)
    own = Share(world.engine, engine.bootstrap, SECRET)
    done = await _shared_until_done(
        own, world.engine, await asyncio.to_thread(asked), lambda done, of: told.append((done, of))
    )
    assert (done, told[-1]) == (3, (3, 3))
    async with running(world, engine) as other:
        await until(lambda: report(world).is_well)
        waits = Share(world.engine, engine.bootstrap, SECRET)
        number = await asyncio.to_thread(asked)
        assert await _shared_until_done(waits, world.engine, number, lambda *_: None) == 3
        assert (other.published, waits.published) == (3, 0)
