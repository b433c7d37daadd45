"""Heartbeats in the warehouse, and the alerts that open and close by themselves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from hub.intake.status import IntakeStatus
from hub.model.errors import ConfigError
from hub.model.processes import Beat, Condition, Limits, Role, beat_to_json, moved
from hub.operate.processes import forget_process, look_at_processes
from hub.share.heartbeat import Heartbeat as ShareHeartbeat
from hub.waiting import Waiting
from hub.warehouse.alerts import open_alerts
from hub.warehouse.processes import MOST_OF_A_SOURCE, keep_beats, settle_process_alerts, with_process_alerts
from hub.worker.heartbeat import Heartbeat
from tests.support.merge_world import World

pytestmark = pytest.mark.engine
LIMITS = Limits(gone_s=20, still_s=120, behind_s=300)


def _beat(name: str, role: Role, silent_s: float = 0, **more: object) -> Beat:
    at = datetime.now(UTC) - timedelta(seconds=silent_s)
    return replace(Beat(role, name, "a", 1, "1", at - timedelta(hours=1), at, at), **more)  # type: ignore[arg-type]


def _keep(engine: Engine, *beats: Beat) -> None:
    with engine.begin() as connection:
        keep_beats(connection, beats, heard_now=False)
        settle_process_alerts(connection, LIMITS)


def _open(engine: Engine) -> list[tuple[str, str]]:
    return sorted((one.name, one.place) for one in open_alerts(engine))


def test_alerts_of_processes_open_and_close_by_themselves(world: World, working: Engine) -> None:
    gone = _beat("a:1", Role.WORKER, silent_s=60)
    behind = _beat("a:2", Role.SHARE, behind_s=301.0)
    silent = _beat("thu", Role.CONNECTOR, silent_s=100)
    _keep(working, _beat("a:9", Role.WORKER), gone, behind, silent)
    assert _open(working) == [("connector_gone", "thu"), ("share_behind", "a:2"), ("worker_gone", "a:1")]
    _keep(working, replace(gone, beat_at=datetime.now(UTC), progress_at=datetime.now(UTC)))
    _keep(working, replace(behind, behind_s=2.0), _beat("thu", Role.CONNECTOR))
    assert _open(working) == []


def test_older_heartbeat_changes_nothing(world: World, working: Engine) -> None:
    _keep(working, _beat("a:1", Role.WORKER, doing="now"), _beat("a:1", Role.WORKER, silent_s=60, doing="before"))
    assert [one.beat.doing for one in look_at_processes(working, LIMITS).found] == ["now"]


def test_commands_see_what_is_gone_though_nobody_is_left_to_settle_alerts(world: World, working: Engine) -> None:
    with working.begin() as connection:
        keep_beats(connection, [_beat("a:1", Role.WORKER, 60), _beat("a:2", Role.SHARE, 60)], heard_now=False)
    assert open_alerts(working) == []
    found = with_process_alerts(working, LIMITS, open_alerts(working))
    assert sorted((one.name, one.place) for one in found) == [("share_gone", "a:2"), ("worker_gone", "a:1")]
    assert all("no heartbeat of process 1 on a since" in one.detail for one in found)


def _ended(name: str, role: Role, seconds_ago: float) -> Beat:
    beat = _beat(name, role, seconds_ago)
    return replace(beat, ended_at=beat.beat_at)


def test_no_worker_and_no_share_are_missed_by_all_who_look_until_one_runs(world: World, working: Engine) -> None:
    with working.begin() as connection:
        keep_beats(connection, [_ended("a:1", Role.WORKER, 60), _ended("a:2", Role.SHARE, 60)], heard_now=False)
    seen = look_at_processes(working, LIMITS)
    assert (seen.out_of_order, [stop.name for stop in seen.stops], seen.need_attention) == ((), ["a:1", "a:2"], True)
    found = with_process_alerts(working, LIMITS, open_alerts(working))
    assert sorted((one.name, one.place) for one in found) == [("share_gone", "hub"), ("worker_gone", "hub")]
    share = ShareHeartbeat(working, Waiting(), limits=LIMITS)
    share.beat()
    assert _open(working) == [("worker_gone", "hub")]
    found = with_process_alerts(working, LIMITS, open_alerts(working))
    assert [(one.name, one.place) for one in found] == [("worker_gone", "hub")]
    Heartbeat(working, "a:3", IntakeStatus(), LIMITS).beat()
    assert _open(working) == []
    assert not look_at_processes(working, LIMITS).need_attention


def test_share_that_ends_by_itself_is_not_missed(world: World, working: Engine) -> None:
    share = ShareHeartbeat(working, Waiting(), limits=LIMITS, stays=False)
    share.beat()
    assert len(look_at_processes(working, LIMITS).found) == 1
    share.beat(ended=True)
    assert look_at_processes(working, LIMITS).found == ()


def test_last_worker_that_ended_is_remembered_and_may_be_forgotten(world: World) -> None:
    eight_days = 8 * 86_400
    _keep(world.engine, _ended("a:0", Role.WORKER, eight_days + 60), _ended("a:1", Role.WORKER, eight_days))
    _keep(world.engine, _ended("thu", Role.CONNECTOR, eight_days), _beat("a:2", Role.SHARE))
    assert [one.beat.name for one in look_at_processes(world.engine, LIMITS).found] == ["a:2", "a:1"]
    assert _open(world.engine) == [("worker_gone", "hub")]
    assert [one.beat.name for one in forget_process(world.engine, "a:1", LIMITS, ("mai", "moved"))] == ["a:1"]
    _keep(world.engine, _beat("a:2", Role.SHARE))
    assert (_open(world.engine), look_at_processes(world.engine, LIMITS).need_attention) == ([], False)


def test_commands_do_not_show_an_alert_whose_process_is_back(world: World, working: Engine) -> None:
    _keep(working, _beat("a:1", Role.WORKER, silent_s=60))
    with working.begin() as connection:
        keep_beats(connection, [_beat("a:1", Role.WORKER)], heard_now=False)
    assert _open(working) == [("worker_gone", "a:1")]
    assert with_process_alerts(working, LIMITS, open_alerts(working)) == []


def test_only_a_process_that_is_gone_can_be_forgotten_and_who_and_why_is_kept(world: World) -> None:
    _keep(world.engine, _beat("a:1", Role.WORKER, silent_s=60), _beat("a:2", Role.WORKER))
    with pytest.raises(ConfigError, match="a:2: it is not gone: runs"):
        forget_process(world.engine, "a:2", LIMITS, ("mai", "moved"))
    with pytest.raises(ConfigError, match="no such process"):
        forget_process(world.engine, "a:3", LIMITS, ("mai", "moved"))
    forget_process(world.engine, "a:1", LIMITS, None)
    assert len(look_at_processes(world.engine, LIMITS).found) == 2
    forget_process(world.engine, "a:1", LIMITS, ("mai", "moved"))
    assert [one.beat.name for one in look_at_processes(world.engine, LIMITS).found] == ["a:2"]
    assert world.rows("SELECT a.actor, a.action, a.purpose, a.detail FROM action a") == [
        ("mai", "forget process", "moved", {"process": "a:1"})
    ]


def test_workers_heartbeat_says_what_it_does_brings_connectors_and_says_that_it_ends(
    world: World, working: Engine
) -> None:
    status = IntakeStatus(consumed=5, partitions=4, behind=7)
    heartbeat = Heartbeat(working, "a:1", status, LIMITS)
    heartbeat.hear(beat_to_json(_beat("civil/thu", Role.CONNECTOR, behind=3)), datetime.now(UTC))
    heartbeat.hear({"role": "connector", "name": "liar"}, datetime.now(UTC))
    heartbeat.hear("no object", datetime.now(UTC))
    heartbeat.beat()
    found = {one.beat.name: one for one in look_at_processes(working, LIMITS).found}
    assert set(found) == {"a:1", "civil/thu"}
    assert (found["a:1"].beat.behind, found["a:1"].beat.doing) == (7, "4 partitions, 5 records")
    assert found["civil/thu"].beat.behind == 3
    heartbeat.beat(ended=True)
    ended = {one.beat.name: one.condition for one in look_at_processes(working, LIMITS).found}
    assert ended["a:1"] is Condition.ENDED


def test_forged_times_of_a_connector_end_no_heartbeat_and_are_read_back(world: World, working: Engine) -> None:
    heartbeat = Heartbeat(working, "a:1", IntakeStatus(), LIMITS)
    forged = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00")
    for number, time in enumerate(forged):
        said = beat_to_json(_beat(f"civil/{number}", Role.CONNECTOR))
        heartbeat.hear(said | dict.fromkeys(("began_at", "progress_at", "waits_since"), time), datetime.now(UTC))
    heartbeat.beat()
    found = look_at_processes(working, LIMITS)
    assert found.unknown == ""
    assert sorted(one.beat.name for one in found.found) == ["a:1", "civil/0", "civil/1", "civil/2"]


def test_names_that_anybody_may_write_fill_no_table_and_shut_nobody_else_out(
    world: World, working: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeat = Heartbeat(working, "a:1", IntakeStatus(), LIMITS)
    for name in (*(f"nobody/{number}" for number in range(50)), *(f"civil/{number}" for number in range(100))):
        heartbeat.hear(beat_to_json(_beat(name, Role.CONNECTOR)), datetime.now(UTC))
    heartbeat.hear(beat_to_json(_beat("population/true", Role.CONNECTOR)), datetime.now(UTC))
    heartbeat.beat()
    names = [one.beat.name for one in look_at_processes(working, LIMITS).found]
    assert len([name for name in names if name.startswith("civil/")]) == MOST_OF_A_SOURCE
    assert len(names) == MOST_OF_A_SOURCE + 2
    assert "population/true" in names
    assert "heartbeats of 130 connectors were left out" in caplog.text
    for number in range(2_000):
        heartbeat.hear(beat_to_json(_beat(f"nobody{number}", Role.CONNECTOR)), datetime.now(UTC))
    heartbeat.hear(beat_to_json(_beat("civil/0", Role.CONNECTOR, doing="again")), datetime.now(UTC))
    heartbeat.beat()
    found = {one.beat.name: one.beat.doing for one in look_at_processes(working, LIMITS).found}
    assert (found["civil/0"], len(found)) == ("again", MOST_OF_A_SOURCE + 2)
    assert caplog.text.count("were left out") == 1


@pytest.mark.parametrize("ahead_s", [-3_600, 3_600])
def test_worker_is_judged_by_the_databases_clock_though_its_own_is_wrong(
    world: World, working: Engine, ahead_s: int
) -> None:
    by = timedelta(seconds=ahead_s)
    with working.begin() as connection:
        keep_beats(connection, [moved(_beat("a:1", Role.WORKER), by)], heard_now=True)
        still = _beat("a:2", Role.WORKER)
        keep_beats(connection, [moved(replace(still, progress_at=still.beat_at - timedelta(hours=1)), by)], True)
    found = {one.beat.name: one.condition for one in look_at_processes(working, LIMITS).found}
    assert found == {"a:1": Condition.RUNS, "a:2": Condition.STANDS_STILL}
