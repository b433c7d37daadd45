"""A replayed state made live, and back: in one transaction, with all that came meanwhile, nothing published unasked."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from hub.intake.decode.decoder import GuardedDecoder
from hub.model.entities import CITIZEN
from hub.model.errors import ConfigError, HubError
from hub.model.policies.policy import parse_policy
from hub.model.replay_state import ReplayState
from hub.operate.ledger.balance import read_ledger
from hub.operate.replay.filters import Filters
from hub.operate.replay.run import drop_replay
from hub.operate.replay.store import replay_numbered
from hub.operate.replay.switch import Switched, switch, undo
from hub.operate.replay.verify import verify
from hub.reconcile.ledger.check import LedgerCheck
from hub.share.outbox import changes_in, move_positions, open_spans
from hub.warehouse.sources import write_policy
from hub.warehouse.tables.kinds import TableKind, tables_of
from tests.conftest import RunningEngine
from tests.e2e.hub_process import wait_until
from tests.support.event_set import FIRST_DAY, EventSet, Outgoing, pin_of
from tests.support.replay_world import DEMO_POLICY, ReplayWorld, by, open_replay_world, unwatched

pytestmark = pytest.mark.engine

BAD, GOOD = FIRST_DAY + timedelta(days=30), FIRST_DAY + timedelta(days=60)


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


def said(events: EventSet, number: int, version: int, name: str) -> Outgoing:
    """What the population database says of a person, published after the day from which it was right."""
    fields = events.fields("dancu", version, 40, pin=pin_of(number), full_name=name, birth_year=1960)
    return events.record("citizen.changed", fields | {"recorded_at": GOOD})


def ready(replays: ReplayWorld, filters: Filters, publish: bool = False) -> int:
    planned = replays.plan(filters, publish)
    replays.run(planned.id)
    return planned.id


def switched(replays: ReplayWorld, number: int) -> Switched:
    return switch(replays.ground, number, by("replay.switch"), unwatched)


def undone(replays: ReplayWorld, number: int) -> Switched:
    return undo(replays.ground, number, by("replay.undo"), unwatched)


def shared(replays: ReplayWorld) -> dict[str, set[UUID]]:
    """Let share follow to the end; return the keys it would publish."""
    found: dict[str, set[UUID]] = {}
    while True:
        with replays.engine.begin() as connection:
            spans = open_spans(connection)
            if not spans:
                return found
            for name, keys in changes_in(connection, spans).keys.items():
                found.setdefault(name, set()).update(keys)
            move_positions(connection, spans)


def check_ledger(replays: ReplayWorld) -> None:
    """Every record is accounted for, and nothing that must be there is missing but what the replay took away."""
    with replays.engine.connect() as connection:
        assert all(row.balanced for row in read_ledger(connection))
    turn = LedgerCheck(replays.engine, look_for_s=60).turn()
    assert turn is not None
    assert turn.losses == ()


def test_i7_switch_takes_away_what_the_plan_said_and_undo_brings_it_back_with_what_came_since(
    replays: ReplayWorld,
) -> None:
    events = EventSet("a secret of the tests", seed=2)
    before = replays.state()
    number = ready(replays, Filters(sources=("namdinh.motcua",), since=GOOD))
    shadow = replays.state(f"replay_{number}")
    assert shadow != before
    replays.append([said(events, 1, 20, "Sau Bản Sao")])
    replays.work()
    assert shared(replays)
    done = switched(replays, number)
    assert (done.state, done.caught_up, done.published) == (ReplayState.SWITCHED, 1, 0)
    assert done.withdrawn == 4
    assert shared(replays) == {}
    assert (
        replays.value("SELECT count(*) FROM citizen_person_claim JOIN source ON id = source WHERE code LIKE 'nam%'")
        == 0
    )
    check_ledger(replays)
    assert replays.value("SELECT full_name FROM citizen_person_claim WHERE source_version = 20") == "Sau Bản Sao"
    assert replays.value("SELECT count(*) FROM action WHERE action = 'replay.switch'") == 1

    replays.append([said(events, 2, 21, "Sau Khi Đổi")])
    replays.work()
    check_ledger(replays)
    back = undone(replays, number)
    assert (back.state, back.caught_up) == (ReplayState.UNDONE, 1)
    check_ledger(replays)
    assert replays.value("SELECT full_name FROM citizen_person_claim WHERE source_version = 21") == "Sau Khi Đổi"
    whole = ready(replays, Filters())
    assert replays.differences(f"replay_{whole}") == []


def test_published_are_exactly_the_keys_whose_records_differ_and_only_when_the_plan_says_so(
    replays: ReplayWorld,
) -> None:
    filters = Filters(sources=("dancu",), subjects=("citizen.changed",), since=GOOD)
    events = EventSet("a secret of the tests", seed=2)
    replays.append([said(events, number, 20, "Tên Đúng") for number in range(11)])
    replays.work()
    number = ready(replays, filters, publish=True)
    shared(replays)
    (held,) = replays.rows("SELECT array_agg(key) AS keys FROM citizen_person_record WHERE source IS NOT NULL")
    done = switched(replays, number)
    left = replays.rows("SELECT DISTINCT key FROM citizen_person_claim JOIN source ON id = source WHERE code = 'dancu'")
    gone = set(held.keys) - {row.key for row in left}
    assert len(gone) == 1
    assert shared(replays) == {CITIZEN.name: gone}
    assert done.published == 1
    # The way back: the same records differ again.
    undone(replays, number)
    assert shared(replays) == {CITIZEN.name: gone}


def test_switch_refuses_what_is_not_ready_not_planned_under_this_policy_or_not_where_the_live_one_is(
    replays: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = replays.plan(Filters(sources=("nso",))).id
    with pytest.raises(ConfigError, match=r"PLANNED: .* needs READY"):
        switched(replays, number)
    replays.run(number)
    another = parse_policy(DEMO_POLICY.read_bytes() + b"\n# a remark\n")
    with replays.engine.begin() as connection:
        write_policy(connection, another, "test")
    try:
        with pytest.raises(ConfigError, match="another is in force now"):
            switched(replays, number)
    finally:
        replays.execute(f"DELETE FROM policy WHERE digest = '{another.digest}'")
    with pytest.raises(ConfigError, match=r"READY: .* needs SWITCHED"):
        undone(replays, number)
    before = replays.state()
    replays.execute(f"UPDATE replay_{number}.log_partition SET next_offset = next_offset - 1 WHERE topic LIKE '%unit%'")
    with pytest.raises(HubError, match=r"is at offset \d+ and the shadow at \d+: run `hub replay run"):
        switched(replays, number)
    monkeypatch.setattr("hub.operate.replay.switch.MOST_HELD", -1)
    with pytest.raises(HubError, match="has moved on by 0 records"):
        switched(replays, number)
    assert replays.state() == before
    drop_replay(replays.ground, number, by("replay.drop"))
    with replays.engine.connect() as connection:
        assert replay_numbered(connection, number).state is ReplayState.DROPPED
    assert replays.rows("SELECT FROM pg_namespace WHERE nspname = :name", name=f"replay_{number}") == []


def waits(replays: ReplayWorld, count: int) -> None:
    """Wait until so many transactions wait for a lock of this database."""
    query = """SELECT count(*) FROM pg_locks WHERE NOT granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    wait_until(lambda: replays.value(query) == count, lambda: f"{replays.value(query)} wait, not {count}")


def test_switch_and_a_batch_that_begins_meanwhile_do_not_wait_for_each_other(
    replays: ReplayWorld, caplog: pytest.LogCaptureFixture
) -> None:
    number = ready(replays, Filters(sources=("nso",)))
    replays.append([said(EventSet("a secret of the tests", seed=5), 1, 20, "Giữa Chừng")])
    with replays.engine.connect() as under_way, ThreadPoolExecutor(2) as threads:
        batch = under_way.begin()
        under_way.execute(text("INSERT INTO batch (worker, policy_digest) VALUES ('of another lane', '')"))
        switching = threads.submit(switched, replays, number)
        waits(replays, 1)
        working = threads.submit(replays.work)
        waits(replays, 2)
        batch.rollback()
        working.result(60)
        assert switching.result(60).state is ReplayState.SWITCHED
    assert caplog.messages == []
    assert replays.value("SELECT full_name FROM citizen_person_claim WHERE source_version = 20") == "Giữa Chừng"
    check_ledger(replays)


def test_switch_gives_way_to_somebody_who_reads_the_tables_in_another_order(
    replays: ReplayWorld, caplog: pytest.LogCaptureFixture
) -> None:
    number = ready(replays, Filters(sources=("nso",)))
    first, last = (tables_of(TableKind.STATE)[place].name for place in (0, -1))
    with ThreadPoolExecutor(1) as threads, replays.engine.connect() as reader, reader.begin():
        reader.execute(text(f"SELECT count(*) FROM {last}"))
        switching = threads.submit(switched, replays, number)
        waits(replays, 1)
        reader.execute(text(f"SELECT count(*) FROM {first}"))
        reader.rollback()
        assert switching.result(60).state is ReplayState.SWITCHED
    assert not [message for message in caplog.messages if "40P01" in message]


def test_records_that_waited_are_accounted_for_whether_a_replay_reads_or_leaves_them(replays: ReplayWorld) -> None:
    events = EventSet("a secret of the tests", seed=3)
    filed = events.fields("hanam.motcua", 1, 1, dossier_code="H25.10-250601-99999", procedure_code="9.999999")
    replays.append([events.record("dossier.submitted", filed)])
    replays.work()
    assert replays.value("SELECT count(*) FROM parked") == 1
    number = ready(replays, Filters(subjects=("dossier.submitted",), since=GOOD))
    switched(replays, number)
    assert replays.value("SELECT count(*) FROM parked") == 0
    assert [row.outcome for row in replays.rows("SELECT outcome FROM replay_left")] == [None]
    check_ledger(replays)
    undone(replays, number)
    assert replays.value("SELECT count(*) FROM parked") == 1
    named = events.fields("dvcqg", 1, procedure_code="9.999999", name="Thủ tục")
    replays.append([events.record("procedure.changed", named)])
    replays.work()
    assert replays.value("SELECT count(*) FROM parked") == 0
    check_ledger(replays)


def test_i7_verify_says_equal_and_names_the_row_that_was_changed_behind_the_hubs_back(
    replays: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.operate.replay.verify._TRIES", 1)
    found = verify(replays.ground, by("replay.verify"), unwatched)
    assert found.differing == ()
    assert found.events == replays.value("SELECT count(*) FROM audit")
    assert found.rows["citizen_person_claim"] > 0
    key = replays.value("SELECT key FROM citizen_person_claim LIMIT 1")
    with replays.engine.begin() as connection:
        changed = text("UPDATE citizen_person_claim SET full_name = 'x' WHERE key = :key")
        connection.execute(changed, {"key": key})
    assert any(str(key) in line for line in verify(replays.ground, by("replay.verify"), unwatched).differing)
    assert replays.rows("SELECT FROM pg_namespace WHERE nspname LIKE 'replay_%'") == []
