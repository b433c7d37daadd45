"""Both connectors pass the acceptance suite on real PostgreSQL, and their events arrive on real Kafka."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from connectors.base.port import Connector
from connectors.declared.load import parse_declaration
from connectors.memory.lock import AnotherConnectorError
from connectors.opening import connectors_of, open_context
from connectors.running.publisher import KafkaPublisher
from connectors.running.run import RunOptions, run
from connectors.testing import QUICK, ConnectorAcceptance, MemoryPublisher, Writer, catch_up, decoded
from hub.log.reader import open_reader, partitions_of, read_from_the_beginning
from hub.model.errors import RetryableError
from tests.conftest import RunningEngine
from tests.support.patience import HANG_S

pytestmark = pytest.mark.engine

SECRET = "a secret of the tests only"  # noqa: S105 - protects nothing
HEAD = """
[source]
code = "test.source"
agency = "H25"
unit_scheme = "GSO_2004"
url_env = "SOURCE_URL"
page_rows = {page_rows}
overlap_s = 30

[words.status]
"Mới" = "REGISTERED"

[[stream]]
name = "progress"
subject = "dossier.progressed"
"""
TABLE = """
connector = "table"
table = "ho_so"
key = ["ma"]
version = "phien_ban"
changed_at = "luc"
deleted = "da_xoa"
[stream.fields]
dossier_code = "ma"
processing_agency = { column = "co_quan", words = { "A" = "H25.1" } }
status = { column = "trang_thai", words = "status" }
"""
OUTBOX = """
connector = "outbox"
table = "hop_thu"
key = ["id"]
version = "phien_ban"
changed_at = "luc"
payload = "noi_dung"
where = { loai = "HS" }
operation = { column = "thao_tac", words = { S = "UPDATE", X = "REVOKE" } }
[stream.fields]
dossier_code = "ma"
processing_agency = { path = "co_quan", words = { "A" = "H25.1" } }
status = { path = "trang_thai", words = "status" }
"""


class TableWriter:
    """Writes the rows of a table."""

    ddl = (
        "CREATE TABLE ho_so (ma text PRIMARY KEY, phien_ban bigint NOT NULL, luc timestamptz NOT NULL DEFAULT now(),"
        " da_xoa boolean NOT NULL DEFAULT false, co_quan text, trang_thai text)"
    )
    declaration = TABLE

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, key: str, version: int, is_good: bool = True) -> None:
        """Insert or change."""
        self._write(key, version, is_good, False)

    def revoke(self, key: str, version: int) -> None:
        """Delete softly."""
        self._write(key, version, True, True)

    def _write(self, key: str, version: int, is_good: bool, is_deleted: bool) -> None:
        self._connection.execute(
            text(
                "INSERT INTO ho_so (ma, phien_ban, co_quan, trang_thai, da_xoa) VALUES (:ma, :ban, :co, 'Mới', :xoa)"
                " ON CONFLICT (ma) DO UPDATE SET phien_ban = :ban, co_quan = :co, da_xoa = :xoa, luc = now()"
            ),
            {"ma": key, "ban": version, "co": "A" if is_good else "?", "xoa": is_deleted},
        )


class OutboxWriter:
    """Writes the rows of an outbox."""

    ddl = (
        "CREATE TABLE hop_thu (id bigserial PRIMARY KEY, loai text, thao_tac text, phien_ban bigint, noi_dung jsonb,"
        " luc timestamptz NOT NULL DEFAULT now())"
    )
    declaration = OUTBOX

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, key: str, version: int, is_good: bool = True) -> None:
        """Insert or change."""
        self._write(key, version, is_good, "S")

    def revoke(self, key: str, version: int) -> None:
        """Delete softly."""
        self._write(key, version, True, "X")

    def _write(self, key: str, version: int, is_good: bool, operation: str) -> None:
        body = {"ma": key, "co_quan": "A" if is_good else "?", "trang_thai": "Mới"}
        self._connection.execute(
            text("INSERT INTO hop_thu (loai, thao_tac, phien_ban, noi_dung) VALUES ('HS', :tac, :ban, :noi)"),
            {"tac": operation, "ban": version, "noi": json.dumps(body)},
        )


class PostgresSource:
    """A source in a database of its own on the session's server."""

    def __init__(self, url: str, kind: type[TableWriter] | type[OutboxWriter], more: str = "") -> None:
        self.url = url
        self._kind = kind
        self._more = more
        self._engine = create_engine(url, poolclass=NullPool)
        with self._engine.begin() as connection:
            connection.execute(text(kind.ddl))

    def declaration(self, page_rows: int) -> str:
        """Return the TOML of this source."""
        return HEAD.format(page_rows=page_rows) + self._more + self._kind.declaration

    def connector(self, page_rows: int = 3) -> Connector:
        """Open the connector."""
        declared = parse_declaration(self.declaration(page_rows).encode())
        return connectors_of(open_context(declared, SECRET, {"SOURCE_URL": self.url}))[0]

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """Begin a transaction."""
        with self._engine.begin() as connection:
            yield self._kind(connection)

    def stop(self) -> None:
        """Refuse and end all connections."""
        self._administer("ALLOW_CONNECTIONS false", terminate=True)

    def start(self) -> None:
        """Let connections in again."""
        self._administer("ALLOW_CONNECTIONS true", terminate=False)

    def _administer(self, change: str, terminate: bool) -> None:
        name = self._engine.url.database
        server = create_engine(self._engine.url.set(database="postgres"), poolclass=NullPool)
        with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ALTER DATABASE {name} {change}"))
            if terminate:
                connection.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
                )


class TestTable(ConnectorAcceptance):
    """``table``, reading up to the horizon."""

    @pytest.fixture
    def source(self, database_url: str) -> PostgresSource:
        """A source of this kind."""
        return PostgresSource(database_url, TableWriter)


class TestOutbox(ConnectorAcceptance):
    """``outbox``, reading up to the horizon."""

    @pytest.fixture
    def source(self, database_url: str) -> PostgresSource:
        """A source of this kind."""
        return PostgresSource(database_url, OutboxWriter)


class TestTableWithOverlap(ConnectorAcceptance):
    """``table``, reading the last seconds again, as on databases without a horizon."""

    @pytest.fixture
    def source(self, database_url: str) -> PostgresSource:
        """A source of this kind."""
        return PostgresSource(database_url, TableWriter, 'late_rows = "overlap"')


class TestOutboxWithOverlap(ConnectorAcceptance):
    """``outbox``, reading the last seconds again."""

    @pytest.fixture
    def source(self, database_url: str) -> PostgresSource:
        """A source of this kind."""
        return PostgresSource(database_url, OutboxWriter, 'late_rows = "overlap"')


def _consumed(bootstrap: str, topic: str, name: str) -> list[tuple[bytes, bytes]]:
    """Return the records that say a name: other files' tests write to the topic, too."""
    consumer = open_reader(bootstrap, consumer_timeout_ms=3000)  # other files write in every codec
    try:
        read_from_the_beginning(consumer, partitions_of(consumer, topic))
        return [(record.key, record.value) for record in consumer if name.encode() in (record.value or b"")]
    finally:
        consumer.close()


@pytest.fixture
def events_topic(engine: RunningEngine) -> str:
    name = "hub.dossier.progressed.v1"
    client = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    try:
        client.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    except TopicAlreadyExistsError:
        pass
    finally:
        client.close()
    return name


def test_events_are_on_kafka_when_run_ends(engine: RunningEngine, database_url: str, events_topic: str) -> None:
    source = PostgresSource(database_url, TableWriter)
    name = database_url.rsplit("_", 1)[-1]
    with source.transaction() as write:
        for number in range(7):
            write.put(f"{name}-{number}", 1)
    publisher = KafkaPublisher(engine.bootstrap, "test")
    counts = run([source.connector()], publisher, RunOptions(once=True, policy=QUICK))
    found = [decoded(record)["dossier_code"] for record in _consumed(engine.bootstrap, events_topic, name)]
    assert counts[0].published == 7
    assert sorted(found) == [f"{name}-{number}" for number in range(7)]


def test_cli_run_publishes_and_prints_counts(
    engine: RunningEngine, database_url: str, events_topic: str, tmp_path: Path
) -> None:
    source = PostgresSource(database_url, OutboxWriter)
    with source.transaction() as write:
        write.put("cli-1", 1)
        write.put("cli-2", 1, is_good=False)
    path = tmp_path / "source.toml"
    path.write_text(source.declaration(5), encoding="utf-8")
    environment = {
        **os.environ,
        "SOURCE_URL": database_url,
        "HUB_KAFKA_BOOTSTRAP": engine.bootstrap,
        "HUB_DATABASE_URL": database_url,
        "HUB_KEY_SECRET": engine.key_secret,
    }

    def hub(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hub.cli", "connect", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False)

    first = hub("run", str(path), "--once", "--json")
    assert first.returncode == 0, first.stderr
    assert {name: json.loads(first.stdout)[name] for name in ("published", "rejected")} == {
        "published": 1,
        "rejected": 1,
    }
    status = json.loads(hub("status", str(path), "--json").stdout)
    assert status["streams"][0]["rejects"] == {"UNMAPPED_WORD": 1}
    checked = hub("check", str(path))
    assert checked.returncode == 0, checked.stderr
    assert "REGISTERED" in checked.stdout


def test_reject_holds_no_value_of_the_row(database_url: str) -> None:
    source = PostgresSource(database_url, TableWriter)
    with source.transaction() as write:
        write.put("secret-key", 1, is_good=False)
    catch_up(source.connector(), MemoryPublisher())
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        rows = connection.execute(text("SELECT * FROM hub_connector.reject")).all()
    assert len(rows) == 1
    assert "secret-key" not in str(rows)
    assert "UNMAPPED_WORD" in str(rows)


def test_row_without_index_column_is_found_by_declared_txid(database_url: str) -> None:
    source = PostgresSource(database_url, OutboxWriter, 'txid = "giao_dich"\n')
    with create_engine(database_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("ALTER TABLE hop_thu ADD COLUMN giao_dich xid8 DEFAULT pg_current_xact_id()"))
    catch_up(source.connector())
    with source.transaction() as late:
        late.put("D-late", 1)
        with source.transaction() as other:
            other.put("D-early", 1)
        catch_up(source.connector())
    found = [event["dossier_code"] for event in catch_up(source.connector()).events()]
    assert found == ["D-late", "D-early"]


def test_once_waits_for_an_open_transaction_that_hides_what_was_committed_before(database_url: str) -> None:
    source = PostgresSource(database_url, OutboxWriter)
    catch_up(source.connector())
    publisher = MemoryPublisher()
    options = RunOptions(once=True, patience_s=60.0, poll_s=0.1, policy=QUICK)
    with ThreadPoolExecutor(1) as threads, source.transaction() as still_open:
        still_open.put("D-open", 1)
        with source.transaction() as other:
            other.put("D-committed", 1)
        running = threads.submit(run, [source.connector()], publisher, options)
        with pytest.raises(TimeoutError):
            running.result(1.0)
        assert not publisher.events()
    assert {event["dossier_code"] for event in publisher.events()} == {"D-open", "D-committed"}


def test_any_role_may_ask_for_the_horizon(database_url: str) -> None:
    # a role that has nothing but what every role has, as far as these functions go
    ask = text("SELECT has_function_privilege('pg_signal_backend', :name, 'execute')")
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        for name in (
            "pg_control_system()",
            "pg_current_snapshot()",
            "pg_snapshot_xmin(pg_snapshot)",
            "pg_snapshot_xmax(pg_snapshot)",
            "pg_is_in_recovery()",
            "pg_walfile_name(pg_lsn)",
            "pg_current_wal_lsn()",
            "pg_current_wal_insert_lsn()",
            "pg_last_wal_replay_lsn()",
            "pg_postmaster_start_time()",
        ):
            assert connection.execute(ask, {"name": name}).scalar() is True


def test_second_connector_of_a_declaration_waits_until_the_first_has_ended(database_url: str) -> None:
    source = PostgresSource(database_url, TableWriter)
    with source.transaction() as write:
        for number in range(9):
            write.put(f"D-{number}", 1)
    first, second = source.connector(), source.connector()
    first.stored()
    with pytest.raises(AnotherConnectorError, match=r"runs: hub connector test\.source"):
        second.stored()
    with ThreadPoolExecutor(1) as threads:
        publisher = MemoryPublisher()
        running = threads.submit(run, [second], publisher, RunOptions(once=True, patience_s=60.0, policy=QUICK))
        with pytest.raises(TimeoutError):
            running.result(0.5)
        assert not publisher.records
        first.close()
        running.result(60)
    assert len(publisher.records) == 9


def test_nothing_is_stored_by_a_connector_whose_session_has_lost_the_lock(database_url: str) -> None:
    source = PostgresSource(database_url, TableWriter)
    with source.transaction() as write:
        write.put("D-1", 1)
    first, second = source.connector(), source.connector()
    pages = first.snapshot(first.stored())
    page = next(pages)
    pages.close()  # type: ignore[attr-defined]
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        ours = "application_name LIKE 'hub connector test%'"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"))
    second.stored()
    for _ in range(2):
        with pytest.raises(RetryableError):
            first.checkpoint(page)
    with pytest.raises(AnotherConnectorError):
        first.stored()
    second.close()
    assert first.stored() is None
    first.checkpoint(page)
    first.close()


def test_transaction_that_holds_rows_back_is_named_by_log_and_status(
    engine: RunningEngine, database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.running.run.HELD_BACK_S", 0.0)
    source = PostgresSource(database_url, TableWriter)
    stop, told = threading.Event(), threading.Event()
    connector = source.connector()
    keep = connector.keep_wait
    kept: list[str | None] = []

    def keep_wait(waits_for: str | None, since: datetime) -> None:
        keep(waits_for, since)
        kept.append(waits_for)
        told.set()

    monkeypatch.setattr(connector, "keep_wait", keep_wait)
    other = create_engine(engine.create_database(f"other_{uuid.uuid4().hex}"), poolclass=NullPool)
    with ThreadPoolExecutor(1) as threads, other.connect() as idle:
        idle.execute(text("SET application_name = 'night report'"))
        idle.execute(text("CREATE TEMP TABLE forgotten (secret_of_a_query int)"))
        with source.transaction() as write:
            write.put("D-1", 1)
        options = RunOptions(policy=QUICK, poll_s=0.05, stop=stop)
        running = threads.submit(run, [connector], MemoryPublisher(), options)
        assert told.wait(60)
        context = open_context(parse_declaration(source.declaration(3).encode()), SECRET, {"SOURCE_URL": source.url})
        (shown,) = context.state.summary()
        context.engine.dispose()
        context.state.close()
        told.clear()
        idle.rollback()
        assert told.wait(60)
        stop.set()
        running.result(60)
    assert kept[0] is not None
    assert kept[-1] is None
    for said in (shown.waits_for or "", caplog.text):
        assert "night report" in said
        assert "idle in transaction, since" in said
        assert "secret_of_a_query" not in said
    assert shown.waits_since is not None
