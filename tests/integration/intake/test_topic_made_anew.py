"""An event topic deleted and made anew: its partitions stop, nothing is skipped, the new log is accepted on record."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.config import Settings
from hub.log.topic_ids import topic_ids
from hub.model.errors import ConfigError
from hub.model.stop_causes import StopCause
from hub.operate.archive.closing import move_archived
from hub.operate.archive.plan import plan_archive
from hub.operate.archive.run import run_archive
from hub.operate.dead_letters.letters import LetterFilter, read_letters
from hub.operate.dead_letters.partitions import list_stops
from hub.operate.dead_letters.redrive import plan_redrive
from hub.operate.evidence.seal import seal_all
from hub.operate.evidence.verify import Range, verify_rows
from hub.operate.log.new_log import ACCEPT, accept_new_log, plan_new_log
from hub.topology import closed_name, event_topic
from hub.warehouse.alerts import open_alerts
from hub.warehouse.offsets import Position, read_positions
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, Outgoing, pin_of, send
from tests.support.odd_log import made_anew
from tests.support.running_intake import PARTITIONS, Ground

pytestmark = pytest.mark.engine

SUBJECT = "inspection.changed"
TOPIC = event_topic(SUBJECT)
_numbers = iter(range(40_000, 50_000))


@pytest.fixture
def ground(engine: RunningEngine, tmp_path: Path) -> Iterator[Ground]:
    name = f"anew_{uuid.uuid4().hex[:12]}"
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database(name),
        key_secret=engine.key_secret,
        data_dir=tmp_path,
    )
    made = Ground(settings, name)
    yield made
    made.database.dispose()
    engine.engine.drop_database(name)


def inspections(ground: Ground, marks: list[str]) -> list[Outgoing]:
    events = EventSet(ground.secret, seed=next(_numbers))
    return [
        events.record(
            SUBJECT,
            events.fields("thanhtra", 1, inspection_id=mark, inspectorate_agency="H42", phase="PREPARE"),
        )
        for mark in marks
    ]


def known(ground: Ground, like: str) -> list[str]:
    query = f"SELECT inspection_id FROM inspection_inspection_claim WHERE inspection_id LIKE '{like}%' ORDER BY 1"
    return [row.inspection_id for row in ground.rows(query)]


def standing(ground: Ground) -> set[tuple[str, int, StopCause]]:
    return {(one.topic, one.partition, one.cause) for one in list_stops(ground.database, standing_only=True)}


ALL_STOPPED = {(TOPIC, number, StopCause.TOPIC_MADE_ANEW) for number in range(PARTITIONS)}


def test_topic_made_anew_while_the_worker_was_away_stops_and_is_read_from_its_beginning_when_accepted(
    ground: Ground,
) -> None:
    old = [f"{ground.secret[:4]}-{next(_numbers)}-{number}" for number in range(6)]
    send(ground.bootstrap, [*inspections(ground, old), Outgoing(TOPIC, b"k" * 16, b"not an event")])
    ground.consume()
    assert set(known(ground, "")) >= set(old)
    old_id = topic_ids(ground.bootstrap, [TOPIC])[TOPIC]
    read = {place: one for place, one in positions(ground).items() if place[0] == TOPIC}
    assert {one.topic_id for one in read.values()} == {old_id}
    with pytest.raises(ConfigError, match="there is nothing to accept"):
        plan_new_log(ground.database, ground.bootstrap, TOPIC)

    made_anew(ground.bootstrap, TOPIC, PARTITIONS)
    new = [f"{ground.secret[:4]}-new-{next(_numbers)}-{number}" for number in range(40)]
    send(ground.bootstrap, inspections(ground, new))
    events = EventSet(ground.secret, seed=next(_numbers))
    person = events.fields("dancu", 1, pin=pin_of(next(_numbers)), full_name="Người Bên Cạnh")
    send(ground.bootstrap, [events.record("citizen.changed", person)])

    def others_flow() -> bool:
        ((count,),) = ground.rows("SELECT count(*) FROM citizen_person_claim")
        return standing(ground) == ALL_STOPPED and count == 1

    ground.consume(others_flow, drain=False)
    assert known(ground, f"{ground.secret[:4]}-new-") == []
    alerts = {one.place: one.detail for one in open_alerts(ground.database)}
    assert "TOPIC_MADE_ANEW" in alerts[f"{TOPIC}/0"]
    assert f"hub offsets accept {TOPIC}" in alerts[f"{TOPIC}/0"]

    plan = plan_new_log(ground.database, ground.bootstrap, SUBJECT)
    closed = closed_name(TOPIC, old_id.hex[:8])
    assert (plan.old_id, plan.new_id, plan.closed) == (old_id, topic_ids(ground.bootstrap, [TOPIC])[TOPIC], closed)
    sealed(ground)
    accept_new_log(ground.database, plan, "H42-017", "the disk was lost")
    ground.consume()
    assert known(ground, f"{ground.secret[:4]}-new-") == sorted(new)
    assert set(known(ground, "")) >= set(old)
    ledger = {(row.topic, row.partition): row for row in ground.ledger()}
    assert all(row.balanced for row in ledger.values())
    assert sum(ledger[closed, number].consumed for number in range(PARTITIONS)) == 7
    assert sum(ledger[TOPIC, number].consumed for number in range(PARTITIONS)) == 40
    assert (standing(ground), open_alerts(ground.database)) == (set(), [])
    (said,) = ground.rows(f"SELECT actor, purpose, detail FROM action WHERE action = '{ACCEPT}'")
    assert (said.actor, said.purpose, said.detail["old_id"]) == ("H42-017", "the disk was lost", str(old_id))

    with ground.database.connect() as connection:
        (letter,) = read_letters(connection, LetterFilter(topic=SUBJECT))
    assert letter.place.topic == closed
    ((_, why),) = plan_redrive(ground.database, LetterFilter(topic=SUBJECT)).left_out
    assert "its log was closed" in why
    sealed(ground)
    with ground.database.connect() as connection:
        assert verify_rows(connection, {}, Range()).findings == []


def sealed(ground: Ground) -> None:
    with ground.database.connect() as connection:
        seal_all(connection)


def positions(ground: Ground) -> dict[tuple[str, int], Position]:
    with ground.database.connect() as connection:
        return read_positions(connection)


def test_topic_made_anew_under_the_running_workers_feet_stops_its_partitions(ground: Ground) -> None:
    ground.consume()
    done: list[bool] = []

    def is_noticed() -> bool:
        if not done:
            done.append(True)
            made_anew(ground.bootstrap, TOPIC, PARTITIONS)
        return standing(ground) == ALL_STOPPED

    ground.consume(is_noticed, drain=False)
    accept_new_log(ground.database, plan_new_log(ground.database, ground.bootstrap, TOPIC), "H42-017", "a test")
    mark = f"feet-{next(_numbers)}"
    send(ground.bootstrap, inspections(ground, [mark]))
    ground.consume()
    assert known(ground, "feet-") == [mark]


def test_warehouse_without_ids_learns_them_once_and_only_where_the_log_holds_the_stored_offset(ground: Ground) -> None:
    ground.consume()
    ground.execute("UPDATE log_partition SET topic_id = NULL")
    ground.execute(
        f"UPDATE log_partition SET next_offset = next_offset + 500 WHERE topic = '{TOPIC}' AND partition = 0"
    )
    ground.consume(lambda: standing(ground) == {(TOPIC, 0, StopCause.LOST_RANGE)}, drain=False)
    ids = {place: one.topic_id for place, one in positions(ground).items()}
    assert ids[TOPIC, 0] is None
    assert ids[TOPIC, 1] == topic_ids(ground.bootstrap, [TOPIC])[TOPIC]
    plan = plan_new_log(ground.database, ground.bootstrap, TOPIC)
    assert [one.partition for one in plan.old] == [0]


def test_archive_of_a_closed_log_is_not_taken_for_the_new_one(ground: Ground, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    marks = [f"arch-{next(_numbers)}-{number}" for number in range(4)]
    send(ground.bootstrap, inspections(ground, marks))
    ground.consume()
    later = timedelta(seconds=-60)
    run_archive(ground.bootstrap, archive, plan_archive(ground.database, ground.bootstrap, archive, later, [TOPIC]))
    made_anew(ground.bootstrap, TOPIC, PARTITIONS)
    ground.consume(lambda: standing(ground) == ALL_STOPPED, drain=False)
    plan = plan_new_log(ground.database, ground.bootstrap, TOPIC)
    accept_new_log(ground.database, plan, "H42-017", f"{datetime.now(UTC)}")
    with pytest.raises(ConfigError, match="--archived-as"):
        plan_archive(ground.database, ground.bootstrap, archive, later, [TOPIC])
    assert move_archived(archive, TOPIC, None, plan.closed)
    stretches = plan_archive(ground.database, ground.bootstrap, archive, later, [TOPIC])
    assert {(one.first, one.log_begin) for one in stretches} == {(0, 0)}
