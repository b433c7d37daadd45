"""What a worker may do with evidence: append and no more, take events only while it is written."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from hub.model.alerts import EVIDENCE_NOT_WRITTEN
from hub.model.errors import ConfigError, HubError, RetryableError
from hub.operate.evidence import keeper as evidence_keeper
from hub.operate.evidence.heads import SignedHead, note_published, oldest_unproven
from hub.operate.evidence.keeper import EvidenceGate, EvidenceKeeper, Keeping
from hub.operate.evidence.keys import KeySource, SigningKey, make_key
from hub.operate.evidence.status import evidence_status
from hub.reconcile.fence import Stamp
from hub.reconcile.store import WarehouseStore
from hub.warehouse.alerts import read_alerts
from hub.warehouse.database import open_database
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.setup.roles import WORKER, ensure_roles
from hub.warehouse.tables.evidence import APPEND_ONLY
from tests.support.evidence_world import execute, people
from tests.support.merge_world import POLICY, Said, World


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
    execute(world, f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE {WORKER}")
    url = world.engine.url.set(username=login, password="x")  # noqa: S106 - of this test only
    engine = open_database(url.render_as_string(hide_password=False), "hub")
    try:
        assert migrate(engine, "hub").added == ()
        whole = replace(world, store=WarehouseStore(engine, Stamp("test", POLICY.digest)))
        whole.commit(people(1, 2))
        with engine.connect() as connection:
            connection.execute(text("RESET ROLE"))
            with pytest.raises(ProgrammingError, match="InsufficientPrivilege"):
                connection.execute(text("DELETE FROM audit"))
    finally:
        engine.dispose()
        while world.rows(f"SELECT FROM pg_stat_activity WHERE usename = '{login}'"):
            time.sleep(0.05)
        execute(world, f"DROP ROLE {login}")


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
    keeper = EvidenceKeeper(Keeping(working, "nowhere:1", source.load, 0.0, 300.0), gate)
    guarded = replace(world, store=_Guarded(gate, world.store))  # type: ignore[arg-type]
    guarded.commit(people(1, 3))
    keeper.look()
    assert (len(sent), gate.why_closed) == (1, None)

    (tmp_path / "key.pem").rename(tmp_path / "away.pem")
    with pytest.raises(RetryableError, match="cannot be read"):
        keeper.look()
    with pytest.raises(RetryableError, match=r"evidence cannot be written: the signing key .* cannot be read"):
        guarded.commit(people(4, 1))
    with world.engine.connect() as connection:
        assert [one.name for one in read_alerts(connection)] == [EVIDENCE_NOT_WRITTEN.name]
    (tmp_path / "away.pem").rename(tmp_path / "key.pem")
    keeper.look()
    guarded.commit(people(4, 1))
    with world.engine.connect() as connection:
        assert read_alerts(connection) == []

    execute(world, f"REVOKE INSERT ON seal FROM {WORKER}")
    try:
        with pytest.raises(RetryableError, match="42501"):
            keeper.look()
        assert gate.why_closed is not None
    finally:
        execute(world, f"GRANT INSERT ON seal TO {WORKER}")
    keeper.look()
    assert gate.why_closed is None
    assert told[-1] is None


class _Guarded:
    def __init__(self, gate: EvidenceGate, store: WarehouseStore) -> None:
        self.commit = gate.guarded(store.commit)


def test_gate_closes_when_what_is_committed_is_older_than_the_limit_and_not_published(
    world: World, working: Engine, key: SigningKey
) -> None:
    world.commit(people(1, 3))
    gate = EvidenceGate()
    late = EvidenceKeeper(Keeping(working, "127.0.0.1:1", lambda: key, 0.0, 0.0), gate)
    with pytest.raises(HubError):
        late.look()
    assert "are in no published head yet" in str(gate.why_closed)
    patient = EvidenceGate()
    with pytest.raises(HubError):
        EvidenceKeeper(Keeping(working, "127.0.0.1:1", lambda: key, 0.0, 300.0), patient).look()
    assert patient.why_closed is None
    with world.engine.begin() as connection:
        assert oldest_unproven(connection) is not None
        rows = [{"number": number, "topic": "t", "partition": 0, "log_offset": 0} for number in (1, 2)]
        note_published(connection, rows)
        assert oldest_unproven(connection) is None


@pytest.mark.parametrize(("limit_s", "why"), [(0.0, "are in no published head yet (KeyError at"), (300.0, None)])
def test_bug_in_keeping_evidence_closes_the_gate_at_the_limit_and_is_the_chores_to_tell(
    world: World, working: Engine, key: SigningKey, limit_s: float, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("Nguyễn Thị Lẻ")

    world.commit(people(1, 3))
    monkeypatch.setattr(evidence_keeper, "seal_all", breaks)
    gate = EvidenceGate()
    with pytest.raises(KeyError):
        EvidenceKeeper(Keeping(working, "127.0.0.1:1", lambda: key, 0.0, limit_s), gate).look()
    if why is None:
        assert gate.why_closed is None
    else:
        assert why in str(gate.why_closed)
        assert "Nguyễn" not in str(gate.why_closed)
        with world.engine.connect() as connection:
            assert [one.name for one in read_alerts(connection)] == [EVIDENCE_NOT_WRITTEN.name]


def test_bug_in_looking_how_old_the_evidence_is_closes_the_gate(
    world: World, working: Engine, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("Nguyễn Thị Lẻ")

    monkeypatch.setattr(evidence_keeper, "oldest_unproven", breaks)
    gate = EvidenceGate()
    with pytest.raises(KeyError):
        EvidenceKeeper(Keeping(working, "127.0.0.1:1", lambda: key, 0.0, 300.0), gate).look()
    assert "a bug of the hub: KeyError at" in str(gate.why_closed)


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
