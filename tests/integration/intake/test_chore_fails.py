"""A bug in a chore of a worker: an alert with where and since when, a later try, and batches that flow beside it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from hub.config import Settings
from hub.intake import chore_runs
from hub.intake.chore_runs import Failure
from hub.intake.status import IntakeStatus
from hub.model.alerts import CHORE_FAILS
from hub.model.bug import Bug
from hub.model.processes import Beat, Limits, Role
from hub.operate.processes import look_at_processes
from hub.reconcile.ledger.check import LedgerCheck
from hub.warehouse.alerts import Raised, open_alerts
from hub.warehouse.chores import ChoreStore
from hub.warehouse.processes import keep_beats, settle_process_alerts
from hub.worker.chores import Chore, run_chores
from hub.worker.heartbeat import Heartbeat
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, send
from tests.support.merge_world import World
from tests.support.patience import HANG_S
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine
LIMITS = Limits(gone_s=20, still_s=120, behind_s=300)
LIMIT_S = HANG_S
ODD = "Nguyễn Thị Lẻ"


class InjectedError(Exception):
    """A bug; what it says holds a name, as real ones may."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr(chore_runs, "FIRST_S", 0.02)


def found(engine: Engine) -> list[Raised]:
    return [one for one in open_alerts(engine) if one.name == CHORE_FAILS.name]


async def until(is_so: Any) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(0.02)


async def test_alert_says_which_bug_where_and_how_often_and_closes_when_the_chore_works_again(
    world: World, working: Engine
) -> None:
    breaks = True

    def do() -> None:
        if breaks:
            raise InjectedError(ODD)

    counted: list[int] = []
    chores = [Chore("breaks", 0.01, do), Chore("beside", 0.01, lambda: counted.append(1))]
    running = asyncio.create_task(run_chores(chores, notes=ChoreStore(working, "a:1")))
    await until(lambda: found(working) and found(working)[0].count >= 3)
    (alert,) = found(working)
    assert alert.place == "a:1/breaks"
    assert alert.opened_at < alert.last_seen_at
    assert "InjectedError; failed " in alert.detail
    assert "tests/integration/intake/test_chore_fails.py" in alert.detail
    assert "next try in" in alert.detail
    assert ODD not in alert.detail
    seen = len(counted)
    await until(lambda: len(counted) > seen)
    breaks = False
    await until(lambda: not found(working))
    running.cancel()
    await asyncio.wait([running])


def test_alert_of_a_workers_chore_is_its_own_and_ends_with_the_worker(world: World, working: Engine) -> None:
    failure = Failure(Bug("KeyError", ("hub/a.py:1 in f",)), 1, datetime.now(UTC), 5.0)
    one, other = ChoreStore(working, "a:1"), ChoreStore(working, "a:2")
    one.fails("ledger", failure)
    other.fails("ledger", failure)
    other.fails("evidence", failure)
    other.works("ledger")
    assert sorted(alert.place for alert in found(working)) == ["a:1/ledger", "a:2/evidence"]
    now = datetime.now(UTC)
    beats = [Beat(Role.WORKER, name, "a", 1, "1", now, now, now) for name in ("a:1", "a:2")]
    for kept, left in (
        (beats, 2),
        ([beats[0], replace(beats[1], ended_at=now, beat_at=now + timedelta(seconds=1))], 1),
    ):
        with working.begin() as connection:
            keep_beats(connection, kept, heard_now=False)
            settle_process_alerts(connection, LIMITS)
        assert len(found(working)) == left


def test_bug_in_the_ledgers_check_is_told_with_no_account_lost(
    world: World, working: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = LedgerCheck(working)

    def breaks(*_: object) -> None:
        raise InjectedError(ODD)

    async def run() -> None:
        running = asyncio.create_task(run_chores([Chore("ledger", 0.01, check.turn)], notes=ChoreStore(working, "a:1")))
        with monkeypatch.context() as patched:
            patched.setattr("hub.reconcile.ledger.check.read_accounts", breaks)
            await until(lambda: found(working))
        await until(lambda: not found(working))
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(run())
    assert check.turn() is not None


async def test_bug_in_a_heartbeat_does_not_end_the_worker(
    world: World, working: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise InjectedError(ODD)

    heartbeat = Heartbeat(working, "a:1", IntakeStatus(), LIMITS)
    settle = settle_process_alerts
    monkeypatch.setattr("hub.worker.heartbeat.settle_process_alerts", breaks)
    running = asyncio.create_task(heartbeat.run(ChoreStore(working, "a:1")))
    await until(lambda: [one.place for one in found(working)] == ["a:1/heartbeat"])
    monkeypatch.setattr("hub.worker.heartbeat.settle_process_alerts", settle)
    await until(lambda: not found(working))
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])
    assert [one.condition.value for one in look_at_processes(working, LIMITS).found] == ["ended"]


@pytest.fixture(scope="module")
def ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database("chores"),
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("chores"),
    )
    made = Ground(settings, "test.chores")
    yield made
    made.database.dispose()
    engine.engine.drop_database("chores")


def test_bug_in_what_the_intake_does_beside_batches_is_told_and_batches_flow(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object) -> None:
        raise InjectedError(ODD)

    broken = {
        "group offsets": "hub.intake.broker.calls.GroupOffsets.tell",
        "look for the broker": "hub.intake.intake.look_for_broker",
        "look for resumed partitions": "hub.intake.faults.standing.Standing.look_for_resumed",
        "look for recreated topics": "hub.intake.broker.placing.Placer.look_for_other_logs",
        "parked records": "hub.intake.release._Sweep.once",
    }
    for place in broken.values():
        monkeypatch.setattr(place, breaks)
    records = EventSet(ground.secret, seed=5).mixed(3)
    send(ground.bootstrap, records)
    status = ground.consume(
        lambda: {one.place for one in found(ground.database)} == {f"test/{name}" for name in broken}
    )
    assert status.consumed == len(records)
    assert ODD not in "".join(one.detail for one in found(ground.database))
