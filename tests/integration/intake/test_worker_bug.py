"""A bug at one record or at every record of a partition: two ends of a worker, then records are tried one by one."""

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from kafka import KafkaProducer
from sqlalchemy import text

from hub.config import Settings
from hub.intake import prepare
from hub.intake.checks import check as check_module
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.faults.bugs import WorkerBugError
from hub.intake.faults.piece_by_piece import MOST_SET_ASIDE
from hub.model.alerts import WORKER_BUG
from hub.operate.dead_letters.partitions import plan_resume, resume_partition
from hub.reconcile import isolate, merge, store
from hub.warehouse.alerts import open_alerts
from hub.warehouse.batch import Accepted
from hub.warehouse.bugs import read_suspects
from hub.warehouse.database import open_database
from hub.warehouse.setup.roles import WORKER
from hub.warehouse.stops import Stop, read_stops
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, pin_of
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

TOPIC = "hub.citizen.changed.v1"
ODD = "Nguyễn Thị Lẻ"
_numbers = iter(range(20_000, 29_000))

Injected = Callable[[], None]


class InjectedError(Exception):
    """A bug; what it says holds a name, as real ones may."""


@pytest.fixture(scope="module")
def module_ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database("bugs"),
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("bugs"),
    )
    ground = Ground(settings, "test.bugs")
    ground.working = open_database(str(settings.database_url), "hub", "test", role=WORKER)
    yield ground
    ground.working.dispose()
    ground.database.dispose()
    engine.engine.drop_database("bugs")


@pytest.fixture
def ground(module_ground: Ground) -> Ground:
    """A warehouse at the log's end without letters, notes, stops and alerts, whose worker may do what workers may."""
    module_ground.execute("DELETE FROM worker_bug; DELETE FROM partition_stop")
    module_ground.consume()
    module_ground.execute("DELETE FROM dead_letter; DELETE FROM alert; DELETE FROM action; DELETE FROM partition_stop")
    return module_ground


def send(ground: Ground, partition: int, names: list[str], **data: Any) -> None:
    events = EventSet(ground.secret, seed=17)
    producer = KafkaProducer(bootstrap_servers=ground.bootstrap)
    for name in names:
        fields = events.fields("dancu", 1, pin=pin_of(next(_numbers)), full_name=name, **data)
        record = events.record("citizen.changed", fields)
        producer.send(record.topic, key=record.key, value=record.value, partition=partition)
    producer.flush()
    producer.close()


def stored(ground: Ground, partition: int) -> int:
    query = f"SELECT next_offset FROM log_partition WHERE topic = '{TOPIC}' AND partition = {partition}"
    return int(ground.rows(query)[0][0])


def letters(ground: Ground) -> list[tuple[str, int, str]]:
    query = f"""SELECT d.reason, d.log_offset, d.detail FROM dead_letter d JOIN log_partition p ON p.id = d.log
                WHERE p.topic = '{TOPIC}' ORDER BY d.log, d.log_offset"""
    return [tuple(row) for row in ground.rows(query)]


def names_stored(ground: Ground, *names: str) -> int:
    said = ", ".join(f"'{name}'" for name in names)
    return int(ground.rows(f"SELECT count(*) FROM citizen_person_claim WHERE full_name IN ({said})")[0][0])


def alerts(ground: Ground) -> list[tuple[str, str]]:
    return [(raised.name, raised.place) for raised in open_alerts(ground.database)]


def stops(ground: Ground) -> list[Stop]:
    with ground.database.connect() as connection:
        return read_stops(connection, standing_only=True)


def ends_by_bug(ground: Ground) -> WorkerBugError:
    with pytest.raises(WorkerBugError) as ended:
        ground.consume()
    return ended.value


def holds(given: tuple[Any, ...]) -> bool:
    """Tell whether what a step was given holds an odd record, wherever it stands."""
    for one in given:
        if isinstance(one, Accepted):
            one = one.frame
        if isinstance(one, pl.DataFrame) and "full_name" in one.columns and ODD in one["full_name"].to_list():
            return True
        if isinstance(one, list) and any(isinstance(value, bytes) and ODD.encode() in value for value in one):
            return True
    return False


STEPS: dict[str, tuple[Any, str]] = {
    "decode": (GuardedDecoder, "decode"),
    "check": (prepare, "check"),
    "flags": (check_module, "with_flags"),
    "order": (prepare, "with_event_order"),
    "encode": (prepare, "with_stage"),
    "stage": (merge, "stage"),
    "claims": (merge, "_write_claims"),
}


def inject(monkeypatch: pytest.MonkeyPatch, step: str, error: type[BaseException] = InjectedError) -> None:
    """Make a step fail whenever it meets an odd record."""
    where, name = STEPS[step]
    call = getattr(where, name)

    def faulty(*given: Any, **named: Any) -> Any:
        if holds(given):
            raise error(f"no idea what to do with {ODD}")
        return call(*given, **named)

    monkeypatch.setattr(where, name, faulty)


def panic() -> type[BaseException]:
    return type("PanicException", (BaseException,), {})


@pytest.mark.parametrize("step", STEPS)
def test_record_at_which_a_bug_ends_the_worker_twice_is_set_aside_and_neighbours_are_merged(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, step: str, capfd: pytest.CaptureFixture[str]
) -> None:
    inject(monkeypatch, step)
    at, beside = stored(ground, 0), stored(ground, 1)
    names = [f"Trước {step} {number}" for number in range(7)], [f"Sau {step} {number}" for number in range(5)]
    send(ground, 0, [*names[0], ODD, *names[1]])
    send(ground, 1, [f"Bên {step}"])
    first, second = ends_by_bug(ground), ends_by_bug(ground)
    assert (stored(ground, 0), letters(ground)) == (at, [])
    assert f"{TOPIC}/0" in {place for _, place in alerts(ground)}
    for ends, error in enumerate((first, second), 1):
        assert f"workers ended by this batch: {ends};" in str(error)
    assert ODD not in str(first)
    assert "InjectedError" in str(first)

    assert ground.consume().stopped == {}
    ((reason, offset, detail),) = letters(ground)
    assert (reason, offset) == ("WORKER_BUG", at + 7)
    assert "InjectedError at tests/integration/intake/test_worker_bug.py" in detail
    assert names_stored(ground, *names[0], *names[1], f"Bên {step}") == 13
    assert (stored(ground, 0), stored(ground, 1)) == (at + 13, beside + 1)
    assert (alerts(ground), stops(ground)) == ([], [])
    assert all(row.balanced for row in ground.ledger())
    with ground.database.connect() as connection:
        assert read_suspects(connection) == {}
    noted = "".join(
        str(row) for row in ground.rows("SELECT detail FROM dead_letter UNION ALL SELECT detail FROM alert")
    )
    assert ODD not in noted
    assert ODD not in "".join(capfd.readouterr())


@pytest.mark.parametrize("step", ["check", "claims"])
def test_bug_at_every_record_stops_its_partition_and_the_others_flow(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    inject(monkeypatch, step)
    at, beside = stored(ground, 0), stored(ground, 1)
    send(ground, 0, [ODD] * 4)
    send(ground, 1, [f"Bên kia {step}"])
    for _ in range(2):
        ends_by_bug(ground)
    ground.consume(lambda: bool(ground.status.stopped) and stored(ground, 1) == beside + 1, drain=False)
    assert (stored(ground, 0), letters(ground)) == (at, [])
    (stop,) = stops(ground)
    assert (stop.place, stop.stop_offset, stop.poison_offset) == (f"{TOPIC}/0", at, at)
    assert "a bug of the hub: InjectedError at tests/integration/intake/test_worker_bug.py" in stop.why
    assert stop.bug
    assert "hub/intake/" in stop.bug
    assert ODD not in stop.bug
    assert "/tmp" not in stop.bug  # noqa: S108 - no path of this machine
    assert alerts(ground) == [(WORKER_BUG.name, f"{TOPIC}/0")]

    send(ground, 1, ["Sau khi dừng"])
    ground.consume(lambda: bool(ground.status.stopped) and stored(ground, 1) == beside + 2, drain=False)
    assert (stored(ground, 0), letters(ground)) == (at, [])

    resume(ground)
    ground.consume(lambda: bool(ground.status.stopped), drain=False)
    assert (stored(ground, 0), len(stops(ground))) == (at, 1), "the bug is still there, and no worker ended"

    monkeypatch.undo()
    resume(ground)
    assert ground.consume().stopped == {}
    assert (stored(ground, 0), letters(ground), alerts(ground)) == (at + 4, [], [])


def resume(ground: Ground, accept: int = 0) -> None:
    resume_partition(ground.database, plan_resume(ground.database, (TOPIC, 0), accept), "H42-017", "case 7")


def test_lone_record_stops_the_partition_until_an_operator_lets_it_go(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, "stage")
    at = stored(ground, 0)
    send(ground, 0, [ODD])
    for _ in range(2):
        ends_by_bug(ground)
    ground.consume(lambda: bool(ground.status.stopped), drain=False)
    assert (stored(ground, 0), letters(ground)) == (at, [])
    resume(ground, accept=1)
    assert ground.consume().stopped == {}
    assert [(reason, offset) for reason, offset, _ in letters(ground)] == [("WORKER_BUG", at)]
    assert alerts(ground) == []


def test_many_records_at_which_the_code_fails_stop_the_partition(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, "stage")
    at = stored(ground, 0)
    names = ["Tốt", *[ODD, "Tốt"] * (MOST_SET_ASIDE + 1)]
    send(ground, 0, names)
    for _ in range(2):
        ends_by_bug(ground)
    ground.consume(lambda: bool(ground.status.stopped), drain=False)
    assert (stored(ground, 0), len(letters(ground))) == (at + 2 * MOST_SET_ASIDE + 1, MOST_SET_ASIDE)
    assert all(row.balanced for row in ground.ledger())
    monkeypatch.undo()
    resume(ground)
    ground.consume()
    assert (stored(ground, 0), len(letters(ground))) == (at + len(names), MOST_SET_ASIDE)


def test_panic_of_a_library_is_a_bug_too(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(monkeypatch, "check", panic())
    send(ground, 0, ["Một", ODD, "Hai"])
    assert "PanicException" in str(ends_by_bug(ground))
    ends_by_bug(ground)
    ground.consume()
    assert [reason for reason, _, _ in letters(ground)] == ["WORKER_BUG"]


def test_bug_in_the_search_for_a_refused_row_is_found_by_the_way_round_it(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> Any:
        raise InjectedError(ODD)

    monkeypatch.setattr(store, "without_refused_rows", broken)
    assert isolate.without_refused_rows is not broken
    ground.execute(f"ALTER TABLE citizen_person_claim ADD CONSTRAINT odd CHECK (full_name != '{ODD}') NOT VALID")
    try:
        send(ground, 0, ["Một", ODD, "Hai"])
        for _ in range(2):
            ends_by_bug(ground)
        ground.consume()
    finally:
        ground.execute("ALTER TABLE citizen_person_claim DROP CONSTRAINT odd")
    assert [reason for reason, _, _ in letters(ground)] == ["WORKER_BUG"]


def test_rows_that_do_not_go_together_go_one_by_one_and_no_worker_ends(ground: Ground) -> None:
    with ground.database.begin() as connection:
        connection.execute(
            text("""CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF (SELECT count(*) FROM fresh) > 1 THEN RAISE EXCEPTION 'no' USING ERRCODE = '21000'; END IF;
                    RETURN NULL; END $$""")
        )
        connection.execute(
            text("""CREATE TRIGGER odd AFTER INSERT ON citizen_person_claim REFERENCING NEW TABLE AS fresh
                    FOR EACH STATEMENT EXECUTE FUNCTION odd()""")
        )
    try:
        at = stored(ground, 0)
        send(ground, 0, [f"Đôi {number}" for number in range(5)])
        assert ground.consume().stopped == {}
    finally:
        ground.execute("DROP TRIGGER odd ON citizen_person_claim; DROP FUNCTION odd()")
    assert (stored(ground, 0), letters(ground)) == (at + 5, [])
    assert names_stored(ground, *[f"Đôi {number}" for number in range(5)]) == 5


def test_bug_that_comes_once_costs_one_end_and_leaves_no_alert(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(monkeypatch, "claims")
    at = stored(ground, 0)
    send(ground, 0, ["Một", ODD])
    ends_by_bug(ground)
    assert [name for name, _ in alerts(ground)] == [WORKER_BUG.name]
    monkeypatch.undo()
    ground.consume(lambda: alerts(ground) == [])
    assert (stored(ground, 0), letters(ground)) == (at + 2, [])
