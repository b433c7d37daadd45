"""Evidence on the real PostgreSQL: append-only rows, seals, heads, and rows changed behind the hub's back."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import ProgrammingError

from hub.model.alerts import EVIDENCE_NOT_WRITTEN
from hub.model.errors import ConfigError, HubError, RetryableError
from hub.operate import evidence_keeper
from hub.operate.actions import Action, note
from hub.operate.evidence_check import check_bundle
from hub.operate.evidence_findings import Finding
from hub.operate.evidence_heads import SignedHead, note_published, oldest_unproven, sign_head, stored_heads
from hub.operate.evidence_keeper import EvidenceGate, EvidenceKeeper, Keeping
from hub.operate.evidence_keys import KeySource, SigningKey, make_key
from hub.operate.evidence_prove import NotProvableError, prove
from hub.operate.evidence_retention import plan_retirement, retire
from hub.operate.evidence_seal import seal_all
from hub.operate.evidence_search import Wanted, search
from hub.operate.evidence_status import evidence_status, known_keys
from hub.operate.evidence_verify import Range, Verification, verify_rows
from hub.operate.evidence_verify_heads import verify_heads
from hub.operate.ledger import read_ledger
from hub.reconcile.merge import Stamp
from hub.reconcile.store import WarehouseStore
from hub.warehouse import evidence_find
from hub.warehouse.alerts import read_alerts
from hub.warehouse.batch import Accepted
from hub.warehouse.database import open_database
from hub.warehouse.evidence_find import make_stretches, rows_naming, sought
from hub.warehouse.evidence_rows import Chain
from hub.warehouse.evidence_tables import APPEND_ONLY
from hub.warehouse.migrate import migrate
from hub.warehouse.roles import WORKER, ensure_roles
from hub.warehouse.tables import audit
from tests.merge_world import POLICY, TOPIC, Said, World, key_of

CHAIN = f"{TOPIC}/0"


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return make_key(tmp_path / "key.pem")


@pytest.fixture(scope="module")
def working(module_world: World) -> Iterator[Engine]:
    """The module's warehouse with the worker's rights."""
    engine = open_database(module_world.engine.url.render_as_string(hide_password=False), "hub", "test", role=WORKER)
    yield engine
    engine.dispose()


def _people(first: int, count: int) -> list[Said]:
    return [Said(number, "population", 1) for number in range(first, first + count)]


def _seal_and_sign(working: Engine, key: SigningKey) -> SignedHead:
    with working.connect() as connection:
        seal_all(connection)
        with connection.begin():
            head = sign_head(connection, key)
            note_published(connection, [{"number": head.number, "topic": "t", "partition": 0, "log_offset": 0}])
    return head


def _execute(world: World, *statements: str) -> None:
    with world.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _verified(
    world: World, published: Sequence[SignedHead] | None = None, trusted: set[bytes] | None = None
) -> tuple[list[str], Verification]:
    """Return what is wrong, as ``kind place``, and all that was found."""
    with world.engine.connect() as connection:
        findings, links = verify_heads(stored_heads(connection), published, trusted)
        done = verify_rows(connection, links, Range())
    return [_short(one) for one in (*findings, *done.findings)], done


def _short(one: Finding) -> str:
    return f"{one.wrong} {one.where.removeprefix(CHAIN)}"


def test_worker_commits_with_its_role_and_may_not_change_what_it_wrote(world: World, working: Engine) -> None:
    whole = replace(world, store=WarehouseStore(working, Stamp("test", POLICY.digest)))
    whole.commit([Said(1, "population", 1), Said(1, "province_b", 1, full_name="B"), Said(2, "population", 1)])
    assert world.outcomes() == ["applied", "superseded", "applied"]
    months = [
        row.name
        for row in world.rows(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent "
            "IN ('audit'::regclass, 'release'::regclass)"
        )
    ]
    assert len(months) >= 8
    for name in (*APPEND_ONLY, *months):
        (column,) = world.rows(f"SELECT attname FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attnum = 1")[
            0
        ]
        for statement in (f"DELETE FROM {name}", f"UPDATE {name} SET {column} = {column}", f"TRUNCATE {name}"):
            with working.connect() as connection, pytest.raises(ProgrammingError, match="InsufficientPrivilege"):
                connection.execute(text(statement))
    with world.engine.connect() as connection:
        assert evidence_status(connection).changeable == ()


def test_login_that_is_only_a_worker_starts_on_a_complete_warehouse_and_has_no_way_back(
    world: World, unique: str
) -> None:
    login = f"login_{unique}"
    _execute(world, f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE {WORKER}")
    url = world.engine.url.set(username=login, password="x")  # noqa: S106 - of this test only
    engine = open_database(url.render_as_string(hide_password=False), "hub")
    try:
        assert migrate(engine, "hub").added == ()
        whole = replace(world, store=WarehouseStore(engine, Stamp("test", POLICY.digest)))
        whole.commit(_people(1, 2))
        with engine.connect() as connection:
            connection.execute(text("RESET ROLE"))
            with pytest.raises(ProgrammingError, match="InsufficientPrivilege"):
                connection.execute(text("DELETE FROM audit"))
    finally:
        engine.dispose()
        while world.rows(f"SELECT FROM pg_stat_activity WHERE usename = '{login}'"):
            time.sleep(0.05)
        _execute(world, f"DROP ROLE {login}")


def test_verify_names_every_row_that_was_changed(world: World, working: Engine, key: SigningKey) -> None:
    for first in range(1, 600, 200):
        world.commit(_people(first, 200))
    _execute(world, f"UPDATE log_partition SET next_offset = 610 WHERE id = {world.logs[0]}")
    _seal_and_sign(working, key)
    assert _verified(world)[0] == []
    _execute(
        world,
        "DELETE FROM audit WHERE log_offset = 3",
        "UPDATE audit SET outcome = 'stale' WHERE log_offset = 307",
        "UPDATE audit SET log_offset = 990 + log_offset WHERE log_offset IN (10, 11)",
        "UPDATE audit SET log_offset = CASE log_offset WHEN 1000 THEN 11 ELSE 10 END WHERE log_offset >= 1000",
        "UPDATE audit SET log_offset = 605 WHERE log_offset = 599",
        f"INSERT INTO audit (log, log_offset, batch, outcome) VALUES ({world.logs[0]}, 607, 1, 'applied')",
        f"INSERT INTO audit (log, log_offset, batch, outcome) VALUES ({world.logs[0]}, 700, 1, 'applied')",
    )
    wrong, done = _verified(world)
    assert wrong == [
        "deleted @3",
        "reordered @10",
        "reordered @11",
        "altered @307",
        "reordered @599",
        "inserted @607",
        "inserted @700",
    ]
    assert (done.rows, done.unsealed) == (600, 0)


def test_verify_names_a_batch_row_an_action_and_a_release_that_were_changed(
    world: World, working: Engine, key: SigningKey
) -> None:
    world.commit(_people(1, 3))
    with world.engine.begin() as connection:
        for _ in range(3):
            note(connection, Action("H42-017", "unmask", "complaint 12"))
        insert = f"INSERT INTO release (log, log_offset, batch, outcome) VALUES ({world.logs[0]}, :at, 7, 'applied')"
        connection.execute(text(insert), [{"at": 1}, {"at": 2}])
    _seal_and_sign(working, key)
    last = world.rows("SELECT max(id) FROM action")[0][0]
    released = world.rows("SELECT max(id) FROM release")[0][0]
    _execute(
        world,
        "UPDATE batch SET worker = 'another'",
        f"UPDATE action SET actor = 'H42-018' WHERE id = {last - 1}",
        f"DELETE FROM release WHERE id = {released}",
    )
    assert _verified(world)[0] == [f"altered (actions)@{last - 1}", f"deleted (releases)@{released}", "altered @0-2"]


def test_a_rewritten_chain_is_found_by_what_was_signed_and_rewritten_heads_by_what_was_published(
    world: World, working: Engine, key: SigningKey, tmp_path: Path
) -> None:
    published = []
    for first in (1, 11, 21):
        world.commit(_people(first, 10))
        published.append(_seal_and_sign(working, key))
    assert _verified(world, published)[0] == []
    assert _verified(world, published[:2])[0] == []
    _execute(world, "DELETE FROM audit WHERE log_offset = 12", "DELETE FROM seal WHERE first_place >= 10")
    assert _verified(world)[0] == ["seal_missing @20", "seal_missing @30"]
    with working.connect() as connection:
        seal_all(connection)
    assert _verified(world)[0] == ["seal_altered @10", "seal_missing @20"]
    _execute(world, "DELETE FROM head WHERE number > 1", "DELETE FROM head_published WHERE number > 1")
    assert _verified(world)[0] == []
    other = make_key(tmp_path / "other.pem")
    _seal_and_sign(working, other)
    wrong, _ = _verified(world, published, {key.public})
    assert "key_not_trusted stored head 2" in wrong
    assert "head_altered head 2" in wrong
    assert "head_missing head 3" in wrong
    assert "seal_altered @10" in wrong
    _execute(world, "DELETE FROM head", "DELETE FROM head_published", "DELETE FROM seal")
    anew = _seal_and_sign(working, key)
    assert _verified(world)[0] == []
    assert "head_missing head 1" in _verified(world, [*published, anew])[0]
    assert "head_altered heads" in _verified(world, published)[0]


def test_altered_heads_and_seals_are_named(world: World, working: Engine, key: SigningKey) -> None:
    for first in (1, 3, 5):
        world.commit(_people(first, 2))
        _seal_and_sign(working, key)
    _execute(
        world,
        "UPDATE seal SET rows = 3 WHERE first_place = 2",
        "UPDATE head SET signature = decode(repeat('00', 64), 'hex') WHERE number = 3",
        "DELETE FROM head WHERE number = 2",
    )
    wrong, _ = _verified(world)
    assert wrong[:2] == ["head_missing stored head 3", "signature_wrong stored head 3"]
    assert "seal_altered @2" in wrong


def test_keys_are_rotated_and_an_auditor_may_trust_some(
    world: World, working: Engine, key: SigningKey, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "next.pem")
    for signing, first in ((key, 1), (other, 3), (other, 5)):
        world.commit(_people(first, 2))
        _seal_and_sign(working, signing)
    assert _verified(world)[0] == []
    assert _verified(world, trusted={key.public, other.public})[0] == []
    assert _verified(world, trusted={other.public})[0] == ["key_not_trusted stored head 1"]
    with world.engine.connect() as connection:
        found = {one.key_id: (one.first_head, one.last_head) for one in known_keys(connection)}
    assert found == {key.key_id: (1, 1), other.key_id: (2, 3)}


def test_bundle_of_an_event_is_checked_by_a_command_without_any_setting(
    world: World, working: Engine, key: SigningKey, tmp_path: Path
) -> None:
    events = [bytes([number]) * 16 for number in range(1, 4)]
    fields = [said.fields() | {"event_id": event} for said, event in zip(_people(1, 3), events, strict=True)]
    frame = world.frame("citizen.changed", fields, [key_of(number) for number in (1, 2, 3)], 0)
    world.commit_frames(0, Accepted("citizen.changed", frame))
    event = UUID(bytes=events[1])
    with world.engine.connect() as connection, pytest.raises(NotProvableError, match="no signed head yet"):
        prove(connection, event)
    _seal_and_sign(working, key)
    world.commit(_people(7, 2))
    _seal_and_sign(working, key)
    with world.engine.connect() as connection:
        bundle = prove(connection, event)
        with pytest.raises(NotProvableError, match="no audit row"):
            prove(connection, UUID(int=77))
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle), "utf-8")
    command = [sys.executable, "-m", "hub.cli", "audit", "check", str(file), "--key", key.public.hex(), "--json"]
    where = {"PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, env=where, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert [said["row"][0][name] for name in ("event_id", "outcome")] == [str(event), "applied"]
    assert all(step["holds"] for step in said["steps"])
    assert not all(step.holds for step in check_bundle(bundle, make_key(tmp_path / "k").public))
    for name, value in (("outcome", "stale"), ("recorded_at", "2026-01-01T00:00:00+00:00"), ("batch", 99)):
        forged = json.loads(json.dumps(bundle))
        forged["proofs"][0]["row"][name] = value
        assert not all(step.holds for step in check_bundle(forged, key.public))


def test_worker_takes_no_events_while_evidence_cannot_be_written(
    world: World, working: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[SignedHead] = []

    def send(_: str, heads: Sequence[SignedHead]) -> list[dict[str, object]]:
        sent.extend(heads)
        return [{"number": one.number, "topic": "t", "partition": 0, "log_offset": 0} for one in heads]

    monkeypatch.setattr(evidence_keeper, "publish_heads", send)
    source = KeySource(tmp_path / "key.pem", None, tmp_path)
    make_key(tmp_path / "key.pem")
    gate, told = EvidenceGate(), list[str | None]()
    gate.on_change = told.append
    keeper = EvidenceKeeper(Keeping(working, "hub", "nowhere:1", source.load, 0.0, 300.0), gate)
    guarded = replace(world, store=_Guarded(gate, world.store))  # type: ignore[arg-type]
    guarded.commit(_people(1, 3))
    keeper.look()
    assert (len(sent), gate.why_closed) == (1, None)

    (tmp_path / "key.pem").rename(tmp_path / "away.pem")
    with pytest.raises(RetryableError, match="cannot be read"):
        keeper.look()
    with pytest.raises(RetryableError, match=r"evidence cannot be written: the signing key .* cannot be read"):
        guarded.commit(_people(4, 1))
    with world.engine.connect() as connection:
        assert [one.name for one in read_alerts(connection)] == [EVIDENCE_NOT_WRITTEN.name]
    (tmp_path / "away.pem").rename(tmp_path / "key.pem")
    keeper.look()
    guarded.commit(_people(4, 1))
    with world.engine.connect() as connection:
        assert read_alerts(connection) == []

    _execute(world, f"REVOKE INSERT ON seal FROM {WORKER}")
    try:
        with pytest.raises(RetryableError, match="42501"):
            keeper.look()
        assert gate.why_closed is not None
    finally:
        _execute(world, f"GRANT INSERT ON seal TO {WORKER}")
    keeper.look()
    assert gate.why_closed is None
    assert told[-1] is None


class _Guarded:
    def __init__(self, gate: EvidenceGate, store: WarehouseStore) -> None:
        self.commit = gate.guarded(store.commit)


def test_gate_closes_when_what_is_committed_is_older_than_the_limit_and_not_published(
    world: World, working: Engine, key: SigningKey
) -> None:
    world.commit(_people(1, 3))
    gate = EvidenceGate()
    late = EvidenceKeeper(Keeping(working, "hub", "127.0.0.1:1", lambda: key, 0.0, 0.0), gate)
    with pytest.raises(HubError):
        late.look()
    assert "are in no published head yet" in str(gate.why_closed)
    patient = EvidenceGate()
    with pytest.raises(HubError):
        EvidenceKeeper(Keeping(working, "hub", "127.0.0.1:1", lambda: key, 0.0, 300.0), patient).look()
    assert patient.why_closed is None
    with world.engine.begin() as connection:
        assert oldest_unproven(connection) is not None
        rows = [{"number": number, "topic": "t", "partition": 0, "log_offset": 0} for number in (1, 2)]
        note_published(connection, rows)
        assert oldest_unproven(connection) is None


def test_keys_and_events_are_found_in_stretches_and_behind_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_find, "LEAST_PLACES", 100)
    monkeypatch.setattr(evidence_find, "MOST_PLACES", 150)
    for first in range(1, 401, 100):
        world.commit(_people(first, 100))
    with world.engine.begin() as connection:
        assert make_stretches(connection) == 3
    world.commit([Said(5, "population", 2), Said(350, "population", 2)])
    with world.engine.connect() as connection:
        for number, offsets in ((5, [4, 400]), (120, [119]), (350, [349, 401]), (999, [])):
            rows = connection.execute(rows_naming(audit.c.key), sought([key_of(number)])).all()
            assert sorted(row.log_offset for row in rows) == offsets
        every = connection.execute(rows_naming(audit.c.key), sought([key_of(n) for n in range(1, 401)])).all()
    assert len(every) == 402


def test_search_finds_by_key_source_officer_and_purpose_and_is_noted(world: World) -> None:
    world.commit([Said(1, "population", 1), Said(1, "province_b", 1), Said(2, "population", 1)])
    with world.engine.begin() as connection:
        note(connection, Action("H42-017", "unmask", "Complaint 12/2026", "citizen", key_of(1)))
        of_key = search(connection, Wanted([key_of(1)]), "auditor", "audit 1")
        assert [row["source"] for row in of_key.events] == ["province_b", "population"]
        assert {row["action"] for row in of_key.actions} == {"unmask", "audit.search"}
        of_source = search(connection, Wanted(source="population"), "auditor", "audit 2")
        assert ([row["log_offset"] for row in of_source.events], of_source.actions) == ([2, 0], [])
        of_purpose = search(connection, Wanted(purpose="complaint", officer="H42-017"), "auditor", "audit 3")
        assert ([row["action"] for row in of_purpose.actions], of_purpose.events) == (["unmask"], [])
        now = connection.execute(text("SELECT now()")).scalar_one()
        later = Wanted(source="population", since=now + timedelta(hours=1))
        assert search(connection, later, "auditor", "audit 4").events == []
        noted = connection.execute(text("SELECT count(*) FROM action WHERE action = 'audit.search'")).scalar_one()
    assert noted == 4


def test_month_is_dropped_when_it_verifies_and_the_ledger_balances_after(
    world: World, working: Engine, key: SigningKey
) -> None:
    world.commit([Said(1, "population", 2), Said(1, "population", 1), Said(2, "population", 1)])
    with world.engine.connect() as connection:
        assert plan_retirement(connection, 1) == []
        (month,) = [one for one in plan_retirement(connection, -1) if one.month.relation == "audit"]
        assert month.problems == ("3 rows, of which 0 are sealed",)
        with pytest.raises(HubError, match="not dropped"):
            retire(world.engine, [month], "admin", "too early")
    head = _seal_and_sign(working, key)
    _execute(world, "UPDATE audit SET reason = 'x' WHERE log_offset = 1")
    with world.engine.connect() as connection:
        assert [one.problems for one in plan_retirement(connection, -1)] == [(), (f"altered: {CHAIN}@1",)]
    _execute(world, "UPDATE audit SET reason = NULL WHERE log_offset = 1")
    with world.engine.connect() as connection:
        plan = plan_retirement(connection, -1)
    try:
        assert retire(world.engine, plan, "admin", "retention") == 3
        wrong, done = _verified(world, [head])
        assert (wrong, done.retired_seals) == ([], 1)
        with world.engine.connect() as connection:
            assert all(row.balanced for row in read_ledger(connection))
        _execute(world, "DELETE FROM action WHERE action = 'audit.retire'")
        assert [line.split()[0] for line in _verified(world)[0]] == ["deleted"]
    finally:
        migrate(world.engine, "hub")
    world.commit(_people(10, 2))
    assert _rows_of_chain(world) == 2


def _rows_of_chain(world: World) -> int:
    chain = Chain(CHAIN, "audit", world.logs[0])
    with world.engine.connect() as connection:
        return len(connection.execute(select(chain.place).where(audit.c.log == chain.log)).all())


def test_rows_of_an_older_warehouse_are_kept_when_its_audit_log_becomes_monthly(database_url: str) -> None:
    engine = open_database(database_url, "hub", "test")
    ensure_roles(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA hub"))
        config = Config()
        config.set_main_option("script_location", "hub/warehouse/migrations")
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        connection.execute(
            text(
                "INSERT INTO audit (log, log_offset, batch, outcome) SELECT 1, g, 1, 'applied' "
                "FROM generate_series(0, 99) g"
            )
        )
        connection.execute(text("INSERT INTO release (log, log_offset, batch, outcome) VALUES (1, 5, 1, 'applied')"))
    migrate(engine, "hub")
    with engine.connect() as connection:
        months = connection.execute(text("SELECT tableoid::regclass::text, count(*) FROM audit GROUP BY 1")).all()
        released = connection.execute(text("SELECT id, log_offset FROM release")).all()
        month = connection.execute(text("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")).scalar_one()
    engine.dispose()
    assert months == [(f"audit_{month}", 100)]
    assert released == [(1, 5)]


def test_migrate_says_what_an_administrator_runs_where_this_user_may_not_take_the_roles(
    database_url: str, unique: str
) -> None:
    login = f"login_{unique}"
    owner = open_database(database_url, "hub", "test")
    ensure_roles(owner)
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {login} LOGIN PASSWORD 'x'"))
        connection.execute(text(f"GRANT CREATE ON DATABASE {owner.url.database} TO {login}"))
    url = owner.url.set(username=login, password="x")  # noqa: S106 - of this test only
    engine = open_database(url.render_as_string(hide_password=False), "hub", "test")
    try:
        with pytest.raises(ConfigError) as refused:
            migrate(engine, "hub")
        assert f'CREATE ROLE {WORKER} NOLOGIN;  GRANT {WORKER} TO "{login}";' in refused.value.message
        working = open_database(url.render_as_string(hide_password=False), "hub", "test", role=WORKER)
        with pytest.raises(ConfigError, match="may not take the role"):
            working.connect()
        working.dispose()
    finally:
        engine.dispose()
        with owner.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {login}"))
            connection.execute(text(f"DROP ROLE {login}"))
        owner.dispose()
