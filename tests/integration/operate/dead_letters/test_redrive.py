"""Dead letters sent again: zero lost, zero twice, whatever cuts it off; what fails again names where it came from."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from sqlalchemy import Connection

from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.log.places import Place, place_text
from hub.log.reader import open_reader
from hub.model.errors import ConfigError, UnreachableError
from hub.model.outcomes import Outcome
from hub.operate.actions import By
from hub.operate.dead_letters import redrive as letter_redrive
from hub.operate.dead_letters import redrive_log
from hub.operate.dead_letters.letters import Letter, LetterFilter, State, read_letters
from hub.operate.dead_letters.redrive import Redriven, plan_redrive, redrive_letters
from hub.operate.dead_letters.story import landing_of
from hub.reconcile.ledger.check import LedgerCheck, LedgerTurn
from hub.warehouse.locks import Lock, session_lock
from tests.conftest import RunningEngine
from tests.integration.operate.dead_letters.killed_redrive import STEPS
from tests.support.event_set import EventSet, Outgoing, pin_of, send
from tests.support.patience import HANG_S
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

CITIZEN = "citizen.changed"
PER_STEP = 3
BY = By("H42-017", "case 7")
SETTLE_S = 0.3


@pytest.fixture(scope="module")
def ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A warehouse with letters enough for every step, each of another person."""
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database("redrive"),
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("redrive"),
    )
    ground = Ground(settings, "test.redrive")
    events = EventSet(engine.key_secret, seed=7)
    cut = []
    for number in range(PER_STEP * len(STEPS) + 3):
        fields = events.fields("dancu", 1, pin=pin_of(3000 + number), full_name=f"Người {number}")
        whole = events.record(CITIZEN, fields)
        cut.append(Outgoing(whole.topic, whole.key, whole.value[:-4] if whole.value else None))
    send(ground.bootstrap, cut)
    ground.consume()
    yield ground
    ground.database.dispose()
    engine.engine.drop_database("redrive")


def open_letters(ground: Ground) -> list[Letter]:
    with ground.database.connect() as connection:
        return [one for one in read_letters(connection, LetterFilter(limit=500), with_bytes=True) if one.origin is None]


def places_of(ground: Ground) -> Endpoints:
    return Endpoints(ground.bootstrap, str(ground.database.url.render_as_string(False)), ground.secret)


def finish(ground: Ground, letters: list[Letter]) -> Redriven:
    wanted = LetterFilter(places=tuple(one.place for one in letters))
    plan = plan_redrive(ground.database, wanted)
    return redrive_letters(ground.database, places_of(ground), plan, BY, settle_s=SETTLE_S)


def copies(ground: Ground) -> dict[str, list[Any]]:
    """Return the records in the log that came from letters, by origin."""
    partitions = [TopicPartition("hub.citizen.changed.v1", number) for number in range(2)]
    consumer = open_reader(ground.bootstrap, consumer_timeout_ms=1500)  # other files write in every codec
    found: dict[str, list[Any]] = {}
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        for record in consumer:
            if origin := dict(record.headers).get("hub.origin"):
                found.setdefault(origin.decode(), []).append(record)
    finally:
        consumer.close()
    return found


def run_killed(ground: Ground, step: str, letters: list[Letter], folder: Path) -> int:
    """Redrive in a process of its own that dies at a step; return its exit code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
        "HUB_KAFKA_BOOTSTRAP": ground.bootstrap,
        "HUB_DATABASE_URL": places_of(ground).database_url,
        "HUB_KEY_SECRET": ground.secret,
        "HUB_DATA_DIR": str(folder),
    }
    command = [sys.executable, "-m", "tests.integration.operate.dead_letters.killed_redrive", step]
    return subprocess.run(
        [*command, *(place_text(one.place) for one in letters)],
        env=environment,
        cwd=Path(__file__).parents[4],
        timeout=HANG_S,
        check=False,
        capture_output=True,
    ).returncode


def test_redrive_killed_at_any_step_loses_nothing_and_sends_nothing_twice(ground: Ground, tmp_path: Path) -> None:
    originals = open_letters(ground)[: PER_STEP * len(STEPS)]
    told = {}
    for number, step in enumerate(STEPS):
        letters = originals[number * PER_STEP : (number + 1) * PER_STEP]
        assert run_killed(ground, step, letters, tmp_path) == -9
        told[step] = finish(ground, letters)
        assert finish(ground, letters) == Redriven(0, 0)
    assert told["before"] == told["intended"] == Redriven(PER_STEP, 0)
    assert told["half"] == Redriven(PER_STEP - 1, 1)
    assert told["sent"] == Redriven(0, PER_STEP)
    assert told["marked"] == Redriven(0, 0)
    assert told["handed"].sent + told["handed"].found == PER_STEP

    found = copies(ground)
    assert Counter({origin: len(records) for origin, records in found.items()}) == Counter(
        {place_text(one.place): 1 for one in originals}
    )
    for one in originals:
        (record,) = found[place_text(one.place)]
        assert (record.partition, record.key, record.value) == (one.place.partition, one.key, one.value)
    marked = ground.rows("SELECT count(*), count(new_offset), count(DISTINCT (partition, new_offset)) FROM redrive")
    assert marked == [(len(originals),) * 3]
    assert ground.rows("SELECT state, count(*) FROM letter GROUP BY 1") == [("redriven", len(originals))]

    ground.consume()
    with ground.database.connect() as connection:
        again = [
            one for one in read_letters(connection, LetterFilter(limit=500), with_bytes=True) if one.origin is not None
        ]
        landings = [landing_of(connection, one.place) for one in originals]
    assert sorted(place_text(one.origin) for one in again if one.origin) == sorted(found)
    assert {one.attempt for one in again} == {1}
    assert {landing.outcome for landing in landings if landing} == {Outcome.DEAD_LETTERED}
    assert {one.same for one in again} == {2}
    left_out = dict(plan_redrive(ground.database, LetterFilter(limit=500)).left_out)
    assert {left_out[one.place] for one in again} == {"it came back from redrive 1: name it to send it again"}
    assert finish(ground, again[:1]).sent == 1
    ground.consume()
    with ground.database.connect() as connection:
        (third,) = [
            one for one in read_letters(connection, LetterFilter(limit=500), with_bytes=True) if one.attempt == 2
        ]
    assert third.origin == again[0].place
    assert all(row.balanced for row in ground.ledger())


def test_redrive_that_the_broker_did_not_confirm_looks_before_it_sends(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = open_letters(ground)[-3:]
    send_all = redrive_log.send_all

    def unheard(*arguments: Any) -> dict[Place, int]:
        send_all(*arguments)
        raise UnreachableError("the answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(letter_redrive, "send_all", unheard)
        with pytest.raises(UnreachableError):
            finish(ground, letters)
    ground.consume()
    plan = plan_redrive(ground.database, LetterFilter(cause="NOT_DECODABLE", limit=500))
    came_back = {place_text(one.place) for one in plan.letters}
    assert (len(came_back), plan.interrupted) == (3, 3)
    told: list[int] = []
    done = redrive_letters(ground.database, places_of(ground), plan, BY, told.append, SETTLE_S)
    assert (done, told) == (Redriven(0, 3), [3])
    found = copies(ground)
    assert all(len(found[place_text(one.place)]) == 1 for one in letters)
    assert not came_back.intersection(found)


def test_one_redrive_runs_at_a_time_and_a_letter_changed_since_the_plan_is_left(ground: Ground) -> None:
    with ground.database.connect() as connection:
        (one, *_) = read_letters(connection, LetterFilter(limit=1))
    plan = plan_redrive(ground.database, LetterFilter(places=(one.place,)))
    assert one.state is State.OPEN
    is_refused = pytest.raises(ConfigError, match="another redrive is running")
    with session_lock(ground.database, Lock.REDRIVE), is_refused:
        redrive_letters(ground.database, places_of(ground), plan, BY)
    with ground.database.begin() as connection:
        letter_redrive.set_states(connection, [one.place], State.DISCARDED, BY)
    assert redrive_letters(ground.database, places_of(ground), plan, BY) == Redriven(0, 0)


def test_redrive_and_ledger_check_run_at_the_same_time(ground: Ground) -> None:
    """Neither makes the other wait, or say that another of its own kind runs."""
    events = EventSet(ground.secret, seed=78)
    whole = events.record(CITIZEN, events.fields("dancu", 1, pin=pin_of(3990), full_name="Người"))
    send(ground.bootstrap, [Outgoing(whole.topic, whole.key, (whole.value or b"")[:-4])])
    ground.consume()
    (mine,) = (one for one in open_letters(ground) if one.key == whole.key)
    plan = plan_redrive(ground.database, LetterFilter(places=(mine.place,)))
    turns: list[LedgerTurn | None] = []

    def check(count: int) -> None:
        turns.append(LedgerCheck(ground.database).turn())

    assert redrive_letters(ground.database, places_of(ground), plan, BY, check, SETTLE_S) == Redriven(1, 0)
    assert None not in turns
    assert turns
    again: list[Redriven] = []

    class DuringTurn(LedgerCheck):
        def _turn(self, connection: Connection) -> LedgerTurn:
            again.append(redrive_letters(ground.database, places_of(ground), plan, BY))
            return super()._turn(connection)

    assert DuringTurn(ground.database).turn() is not None
    assert again == [Redriven(0, 0)]
    ground.consume()


def test_outsiders_record_with_the_hubs_origin_header_is_not_taken_for_a_redriven_one(ground: Ground) -> None:
    events = EventSet(ground.secret, seed=77)
    whole = [
        events.record(CITIZEN, events.fields("dancu", 1, pin=pin_of(3900 + number), full_name=f"Người {number}"))
        for number in range(2)
    ]
    send(ground.bootstrap, [Outgoing(one.topic, one.key, (one.value or b"")[:-4]) for one in whole])
    ground.consume()
    mine = [one for one in open_letters(ground) if one.key in {record.key for record in whole}]
    assert len(letter_redrive.intend(ground.database, places_of(ground), mine, BY)) == 2
    forger = KafkaProducer(bootstrap_servers=ground.bootstrap)
    for one, key, value in ((mine[0], mine[0].key, b"another value"), (mine[1], b"another key", mine[1].value)):
        header = redrive_log.origin_header(one.place)
        forger.send(one.place.topic, key=key, value=value, partition=one.place.partition, headers=[header])
    forger.flush()
    forger.close()
    assert finish(ground, mine) == Redriven(2, 0)
    ground.consume()
    for one in mine:
        true = [record for record in copies(ground)[place_text(one.place)] if record.key == one.key]
        assert one.value in [record.value for record in true]
        with ground.database.connect() as connection:
            landing = landing_of(connection, one.place)
        assert landing is not None
        assert landing.place.offset in [record.offset for record in true if record.value == one.value]
