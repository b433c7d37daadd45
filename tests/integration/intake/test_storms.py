"""Storms of poison records stop their partition and no other; a missing privilege or a full disk is waited for."""

from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer
from sqlalchemy import text

from hub.config import Settings
from hub.model.alerts import PARTITION_STOPPED
from hub.model.errors import ConfigError
from hub.model.policies.breaker_limits import BreakerLimits
from hub.operate.dead_letters.partitions import list_stops, plan_resume, resume_partition
from hub.warehouse.alerts import open_alerts
from hub.warehouse.database import open_database
from hub.warehouse.setup.roles import WORKER
from hub.warehouse.stops import read_stops
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, pin_of
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

TOPIC = "hub.citizen.changed.v1"
REFUSED_NAME = "Tên Không Ai Nhận"
_numbers = iter(range(4000, 9000))


@pytest.fixture(scope="module")
def module_ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database("storms"),
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("storms"),
    )
    ground = Ground(settings, "test.storms")
    ground.limits = BreakerLimits(run=10, window=100, share=0.5)
    ground.working = open_database(str(settings.database_url), "hub", "test", role=WORKER)
    yield ground
    ground.working.dispose()
    ground.database.dispose()
    engine.engine.drop_database("storms")


@pytest.fixture
def ground(module_ground: Ground) -> Ground:
    """A warehouse without letters, whose worker may do what workers may and no more."""
    module_ground.consume()
    module_ground.execute("DELETE FROM dead_letter; DELETE FROM partition_stop; DELETE FROM alert; DELETE FROM action")
    return module_ground


def send(ground: Ground, partition: int, good: list[bool], **data: Any) -> None:
    """Send records to one partition, each of a person of its own; those that are not good are cut."""
    events = EventSet(ground.secret, seed=11)
    producer = KafkaProducer(bootstrap_servers=ground.bootstrap)
    for is_good in good:
        number = next(_numbers)
        said = {"full_name": f"Người {number}"} | data
        record = events.record("citizen.changed", events.fields("dancu", 1, pin=pin_of(number), **said))
        value = record.value if is_good else (record.value or b"")[:-4]
        producer.send(record.topic, key=record.key, value=value, partition=partition)
    producer.flush()
    producer.close()


def stored(ground: Ground, partition: int) -> int:
    ((offset,),) = ground.rows(
        f"SELECT next_offset FROM log_partition WHERE topic = '{TOPIC}' AND partition = {partition}"
    )
    return int(offset)


def letters(ground: Ground) -> int:
    ((count,),) = ground.rows("SELECT count(*) FROM dead_letter")
    return int(count)


def alerts(ground: Ground) -> list[tuple[str, str]]:
    return [(one.name, one.place) for one in open_alerts(ground.database)]


def resume(ground: Ground, accept: int = 0) -> None:
    resume_partition(ground.database, plan_resume(ground.database, (TOPIC, 0), accept), "H42-017", "case 7")


def test_storm_stops_its_partition_and_others_flow_until_an_operator_accepts_it(ground: Ground) -> None:
    before, beside = stored(ground, 0), stored(ground, 1)
    send(ground, 0, [True] * 5 + [False] * 12 + [True])
    send(ground, 1, [True] * 7)
    status = ground.consume(lambda: bool(ground.status.stopped) and stored(ground, 1) == beside + 7, drain=False)
    assert status.stopped == {f"{TOPIC}/0": "10 poison records in a row"}
    assert (stored(ground, 0), letters(ground)) == (before, 0)
    assert alerts(ground) == [(PARTITION_STOPPED.name, f"{TOPIC}/0")]
    detail = open_alerts(ground.database)[0].detail
    assert f"{TOPIC}/0/{before + 14} (NOT_DECODABLE 12)" in detail
    assert f"hub partitions resume {TOPIC}/0" in detail

    send(ground, 1, [True])
    assert ground.consume(lambda: stored(ground, 1) == beside + 8, drain=False).stopped
    assert (stored(ground, 0), letters(ground)) == (before, 0)
    resume(ground)
    ground.consume(lambda: bool(ground.status.stopped), drain=False)
    assert (stored(ground, 0), letters(ground)) == (before, 0)

    def accepted() -> bool:
        if ground.status.stopped and not waiting:
            waiting.append(True)
            resume(ground, accept=12)
        return stored(ground, 0) == before + 18

    waiting: list[bool] = []
    assert ground.consume(accepted, drain=False).stopped == {}
    assert (letters(ground), alerts(ground)) == (12, [])
    assert all(row.balanced for row in ground.ledger())
    send(ground, 0, [False] * 9 + [True] + [False] * 9)
    ground.consume()
    assert letters(ground) == 12 + 18
    said = ground.rows("SELECT actor, action, purpose, detail->>'accept_poison' FROM action ORDER BY id DESC LIMIT 1")
    assert said == [("H42-017", "partitions.resume", "case 7", "12")]


def test_resumed_without_accepting_any_it_stops_again_at_the_same_record(ground: Ground) -> None:
    send(ground, 0, [True] + [False] * 6)
    ground.consume()
    before = letters(ground)
    send(ground, 0, [False] * 4)
    at = stored(ground, 0)
    ground.consume(lambda: bool(ground.status.stopped), drain=False)
    (first,) = list_stops(ground.database, standing_only=True)
    resume(ground)
    ground.consume(lambda: bool(ground.status.stopped) or stored(ground, 0) > at, drain=False)
    (again,) = list_stops(ground.database, standing_only=True)
    assert (again.stop_offset, again.poison_offset) == (first.stop_offset, first.poison_offset) == (at, at + 3)
    assert letters(ground) == before
    resume(ground, accept=4)
    ground.consume()
    assert letters(ground) == before + 4
    send(ground, 0, [False] * 9 + [True])
    ground.consume()
    assert letters(ground) == before + 13


def test_run_is_known_to_the_next_worker_and_raised_limits_resume_it(ground: Ground) -> None:
    send(ground, 0, [True] + [False] * 6)
    ground.consume()
    assert letters(ground) == 6
    send(ground, 0, [False] * 4)
    at = stored(ground, 0)
    ground.consume(lambda: bool(ground.status.stopped), drain=False)
    assert (stored(ground, 0), letters(ground)) == (at, 6)
    narrow, ground.limits = ground.limits, BreakerLimits(run=11, window=100, share=0.5)
    try:
        assert ground.consume().stopped == {}
    finally:
        ground.limits = narrow
    assert (letters(ground), alerts(ground)) == (10, [])
    with ground.database.connect() as connection:
        (stop,) = read_stops(connection)
    assert (stop.resumed_by, stop.purpose) == ("test", "the policy's limits were raised")


def test_rows_that_postgresql_refuses_by_the_dozen_stop_the_partition_too(ground: Ground) -> None:
    at = stored(ground, 0)
    ground.execute(f"ALTER TABLE citizen_person_claim ADD CONSTRAINT odd CHECK (other_name != '{REFUSED_NAME}')")
    send(ground, 0, [True] * 12, other_name=REFUSED_NAME)
    send(ground, 1, [True] * 3)
    beside = stored(ground, 1)
    ground.consume(lambda: bool(ground.status.stopped) and stored(ground, 1) == beside + 3, drain=False)
    assert (stored(ground, 0), letters(ground)) == (at, 0)
    assert alerts(ground) == [(PARTITION_STOPPED.name, f"{TOPIC}/0")]
    ground.execute("ALTER TABLE citizen_person_claim DROP CONSTRAINT odd")
    resume(ground)
    ground.consume()
    assert (letters(ground), stored(ground, 0)) == (0, at + 12)


@pytest.mark.parametrize(
    ("break_it", "mend_it", "state"),
    [
        (
            f"REVOKE INSERT ON citizen_person_claim FROM {WORKER}",
            f"GRANT INSERT ON citizen_person_claim TO {WORKER}",
            "42501",
        ),
        (
            """CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN RAISE EXCEPTION ''No space left on device'' USING ERRCODE = ''53100''; END';
               CREATE TRIGGER full_disk BEFORE INSERT ON citizen_person_claim EXECUTE FUNCTION no_room()""",
            "DROP TRIGGER full_disk ON citizen_person_claim",
            "53100",
        ),
    ],
    ids=["a missing privilege", "a full disk"],
)
def test_environment_at_fault_is_waited_for_and_makes_no_dead_letter(
    ground: Ground, break_it: str, mend_it: str, state: str
) -> None:
    at = stored(ground, 0)
    ground.execute(break_it)
    send(ground, 0, [True] * 20 + [False] + [True])
    seen: list[str] = []

    def mended() -> bool:
        waiting = ground.status.longest_wait()
        if waiting and not seen:
            seen.append(waiting.why)
            assert (stored(ground, 0), letters(ground), alerts(ground)) == (at, 0, [])
            ground.execute(mend_it)
        return ground.is_drained()

    status = ground.consume(mended, drain=False)
    assert state in seen[0]
    assert (status.waiting, letters(ground), stored(ground, 0)) == ({}, 1, at + 22)


def test_partition_that_flows_can_not_be_resumed(ground: Ground) -> None:
    with pytest.raises(ConfigError, match="is not stopped"):
        plan_resume(ground.database, (TOPIC, 1), 0)
    with ground.database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM partition_stop")).scalar_one() == 0
