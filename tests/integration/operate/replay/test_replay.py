"""Replays into a shadow: whole and partial, interrupted and resumed; the live warehouse is as it was."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from hub.codec.decode import MASK
from hub.intake.decode.decoder import GuardedDecoder
from hub.log.places import Place
from hub.model.errors import ConfigError
from hub.model.replay_state import ReplayState
from hub.operate.actions import By
from hub.operate.approval import Second
from hub.operate.dead_letters.parked_release import discard_parked
from hub.operate.desk.operators import add_operator
from hub.operate.replay.diff import diff
from hub.operate.replay.filters import Filters
from hub.operate.replay.pipeline import CancelledError, Progress
from hub.operate.replay.run import run_replay
from hub.operate.replay.store import Asked, ask, places_of, replay_numbered
from tests.conftest import RunningEngine
from tests.support.event_set import FIRST_DAY, Outgoing, pin_of
from tests.support.replay_world import ReplayWorld, by, open_replay_world

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def module_replays(engine: RunningEngine, decoder: GuardedDecoder) -> Iterator[ReplayWorld]:
    name = f"replay_{uuid.uuid4().hex[:12]}"
    made = open_replay_world(engine.create_database(name), decoder)
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


@pytest.fixture
def replays(module_replays: ReplayWorld) -> ReplayWorld:
    module_replays.fill(people=12)
    return module_replays


def test_i7_whole_rebuild_equals_the_live_warehouse_and_changes_nothing_of_it(replays: ReplayWorld) -> None:
    before = replays.state()
    offsets = replays.rows("SELECT id, next_offset, consumed FROM log_partition ORDER BY id")
    planned = replays.plan(Filters())
    assert planned.selection.is_whole
    assert planned.estimate.reads == planned.estimate.selected == replays.value("SELECT count(*) FROM audit")
    ran = replays.run(planned.id)
    assert (ran.state, ran.behind) == (ReplayState.READY, 0)
    assert (ran.read, ran.selected) == (planned.estimate.reads, planned.estimate.selected)
    assert replays.differences(f"replay_{planned.id}") == []
    assert replays.state() == before
    assert replays.rows("SELECT id, next_offset, consumed FROM log_partition ORDER BY id") == offsets


PARTIAL = {
    "source": Filters(sources=("dancu",)),
    "province and central source": Filters(sources=("hanam.motcua", "dvcqg")),
    "units": Filters(subjects=("admin_unit.changed",)),
    "dossiers": Filters(subjects=("dossier.submitted", "dossier.progressed")),
}


def test_i7_partial_replay_of_all_a_scope_said_leaves_what_is_live(replays: ReplayWorld) -> None:
    for name, filters in PARTIAL.items():
        planned = replays.plan(filters)
        assert not planned.selection.is_whole, name
        replays.run(planned.id)
        assert replays.differences(f"replay_{planned.id}") == [], name
        assert diff(replays.ground, planned.id).tables == (), name


def discard(replays: ReplayWorld, record: Outgoing) -> None:
    """Discard a parked record as two people."""
    word = "a long enough credential"
    add_operator(replays.engine, "H42-009", word, "root", "on duty")
    ((topic, partition), offset) = next(
        (place, records.index(record)) for place, records in replays.log.items() if record in records
    )
    by_two = By("H42-017", "filed by mistake"), Second("H42-009", word)
    assert discard_parked(replays.engine, [Place(topic, partition, offset)], *by_two) == 1


def test_i7_discarded_records_stay_discarded_in_a_replay_when_what_they_waited_for_has_come(
    replays: ReplayWorld,
) -> None:
    events = replays.fill(people=2)
    waits = {"dossier_code": "H25.10-250601-99999", "procedure_code": "9.999999"}
    counts, mistake = (
        events.record("dossier.submitted", events.fields("hanam.motcua", version, 1, **waits)) for version in (1, 2)
    )
    replays.append([counts, mistake])
    replays.work()
    assert replays.value("SELECT count(*) FROM parked") == 2
    earlier = replays.plan(Filters())
    replays.run(earlier.id)
    discard(replays, mistake)
    named = events.fields("dvcqg", 1, procedure_code="9.999999", name="Thủ tục")
    replays.append([events.record("procedure.changed", named)])
    replays.work()
    filed = "SELECT source_version FROM dossier_submission_claim WHERE procedure_code = '9.999999'"
    assert [row.source_version for row in replays.rows(filed)] == [1]
    assert replays.value("SELECT count(*) FROM parked") == 0

    replays.run(earlier.id)
    assert replays.differences(f"replay_{earlier.id}") == [], "it had parked what was discarded since"
    for name, filters in (("whole", Filters()), ("partial", Filters(sources=("hanam.motcua",)))):
        planned = replays.plan(filters)
        replays.run(planned.id)
        assert replays.differences(f"replay_{planned.id}") == [], name
        assert replays.value(f"SELECT count(*) FROM replay_{planned.id}.parked") == 0, name

    replays.append([mistake])
    replays.work()
    assert [row.source_version for row in replays.rows(filed)] == [2], "the same event sent again counts"
    again = replays.plan(Filters())
    replays.run(again.id)
    assert replays.differences(f"replay_{again.id}") == []


class Ended(BaseException):
    """The process that ran a replay is gone; no bug."""


def test_replay_that_ends_after_any_batch_goes_on_where_its_shadow_stands(replays: ReplayWorld) -> None:
    planned = replays.plan(Filters(sources=("dancu", "namdinh.motcua")))
    replays.reads, runs = 0, 0
    while True:
        told: list[int] = []

        def watch(progress: Progress, told: list[int] = told) -> None:
            told.append(progress.read)
            if progress.read:
                raise Ended

        runs += 1
        try:
            ran = run_replay(replays.ground, planned.id, by("replay.run"), watch)
        except Ended:
            continue
        break
    assert ran.state is ReplayState.READY
    assert runs > 3
    assert replays.differences(f"replay_{planned.id}") == []
    read = replays.value("SELECT sum(read) FROM replay_position WHERE replay = :id", id=planned.id)
    assert read == planned.estimate.reads


def test_replay_pauses_between_batches_resumes_and_stops(replays: ReplayWorld) -> None:
    planned = replays.plan(Filters(sources=("dancu",)))
    paused_at: list[int] = []

    def asked(what: Asked | None) -> None:
        ask(replays.engine, planned.id, what, by("replay.pause"))

    def watch(progress: Progress) -> None:
        if progress.is_paused:
            paused_at.append(progress.read)
            asked(None if len(paused_at) == 1 else Asked.CANCEL)
        elif progress.read and (not paused_at or progress.read > paused_at[-1]):
            asked(Asked.PAUSE)

    with pytest.raises(CancelledError):
        run_replay(replays.ground, planned.id, by("replay.run"), watch)
    assert len(paused_at) == 2
    assert 0 < paused_at[0] < paused_at[1] < planned.estimate.reads
    with replays.engine.connect() as connection:
        assert replay_numbered(connection, planned.id).state is ReplayState.CANCELLED
        assert places_of(connection, planned.id)
    assert replays.rows("SELECT FROM pg_namespace WHERE nspname = :name", name=f"replay_{planned.id}") == []
    with pytest.raises(ConfigError, match="CANCELLED"):
        replays.run(planned.id)


def test_partial_replay_since_a_time_leaves_out_what_a_source_said_before(replays: ReplayWorld) -> None:
    events = replays.fill(people=5)
    good = events.fields("namdinh.motcua", 7, 6, pin=pin_of(0), full_name="Người Thứ 0", birth_year=1950)
    good["recorded_at"] = FIRST_DAY + timedelta(days=60)
    replays.append([events.record("citizen.changed", good)])
    replays.work()
    planned = replays.plan(Filters(sources=("namdinh.motcua",), since=FIRST_DAY + timedelta(days=50)))
    claims = "SELECT key, source_version FROM {}.citizen_person_claim JOIN source ON id = source WHERE code = :code"
    assert planned.estimate.claims == len(replays.rows(claims.format("hub"), code="namdinh.motcua")) == 2
    ran = replays.run(planned.id)
    schema = f"replay_{planned.id}"
    left = replays.rows(claims.format(schema), code="namdinh.motcua")
    assert [(row.key, row.source_version) for row in left] == [
        (UUID(bytes=events.record("citizen.changed", good).key), 7)
    ]
    assert 0 < ran.selected < ran.read
    found = {one.table: one for one in diff(replays.ground, planned.id).tables}
    assert (found["citizen_person_claim"].removed, found["citizen_person_claim"].added) == (1, 0)
    sample = found["citizen_person_claim"].samples[0]
    assert sample.row["source"] == "namdinh.motcua"
    assert sample.before is not None
    assert sample.before["full_name"] == MASK
    unmasked = diff(replays.ground, planned.id, unmask=True).tables
    assert [(one.samples[0].before or {})["full_name"] for one in unmasked if one.table == "citizen_person_claim"] == [
        "Người Thứ 3"
    ]
