"""What the owners of a source may do to it while its connector runs: each case with the real command."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import TopicPartition

from connectors.memory.positions import position_text, stored_position
from hub.config import Settings
from hub.embedded.engine import Engine
from hub.log.reader import open_reader
from hub.operate.log.topics import create_topics
from hub.topology import event_topic, topics
from tests.e2e.grounds import PARTITIONS, Field, Grounds
from tests.e2e.hub_process import HUB, WorkerProcess, clean_environment, run_hub, wait_until

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "{code}"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 100
{more}
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
{version}
changed_at = "luc"
where = {{ loai = "A" }}
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED", "2" = "RESULT_READY" }} }}
"""
TABLE = (
    "CREATE TABLE ho_so (ma text PRIMARY KEY, ban int NOT NULL DEFAULT 1, luc timestamptz NOT NULL DEFAULT"
    " '2025-06-01 08:00:00', tt text DEFAULT '1', loai text DEFAULT 'A')"
)
TOPIC = event_topic("dossier.progressed")
ROWS = 12_000
KNOWN = "hanam.motcua"
"""A source of the policy."""


@dataclass(frozen=True, slots=True)
class Office:
    """A source in a database of its own, which a role of its own reads."""

    grounds: Grounds
    folder: Path
    name: str
    admin_url: str

    @property
    def role(self) -> str:
        """The reader."""
        return f"reader_{self.name}"

    @property
    def declaration(self) -> Path:
        """The source's declaration."""
        return self.folder / f"{self.name}.toml"

    def declare(self, code: str = "", more: str = "", version: str = 'version = "ban"') -> None:
        """Write the declaration; ``code``: of a source that the policy knows."""
        told = {"code": code or f"test.{self.name}", "more": more, "version": version}
        self.declaration.write_text(DECLARATION.format(**told))

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the owner; return the rows of the last."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return list(cursor) if cursor.description else []

    def fill(self, prefix: str, count: int) -> None:
        """Add rows."""
        self.sql(f"INSERT INTO ho_so (ma) SELECT '{self.name}-{prefix}-' || i FROM generate_series(1, {count}) i")

    def end_sessions(self) -> int:
        """End what the reader has open; return how many sessions it was."""
        mine = f"FROM pg_stat_activity WHERE usename = '{self.role}'"
        return int(self.sql(f"SELECT count(pg_terminate_backend(pid)) {mine}")[0][0])

    def environment(self) -> dict[str, str]:
        """Return what a connector at its source is given: no warehouse."""
        host = self.admin_url.partition("@")[2]
        return {
            "HUB_KAFKA_BOOTSTRAP": self.grounds.bootstrap,
            "HUB_KEY_SECRET": self.grounds.secret,
            "HUB_DATA_DIR": str(self.folder / "none"),
            "SOURCE_URL": f"postgresql://{self.role}:first@{host}",
        }

    def start(self, *more: str) -> WorkerProcess:
        """Start the connector."""
        command = (HUB, "connect", "run", str(self.declaration), *more)
        return WorkerProcess(self.environment(), self.folder / f"{self.name}.log", command)

    def hub(self, command: str, *more: str) -> tuple[int, str]:
        """Run a command of the group ``connect``."""
        ran = run_hub(self.environment(), "connect", command, str(self.declaration), *more)
        return ran.returncode, ran.stdout + ran.stderr

    def published(self) -> int:
        """Return how many events the connector counts as published."""
        try:
            return int(self.sql("SELECT coalesce(sum(published), 0) FROM hub_connector.checkpoint")[0][0])
        except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
            return 0

    def wait_for(self, count: int, process: WorkerProcess) -> None:
        """Wait until so many events are published."""
        wait_until(
            lambda: self.published() >= count or not process.is_alive(),
            lambda: f"{self.published()} of {count}\n{process.output()[-3000:]}",
        )
        assert process.is_alive(), process.output()[-3000:]

    def keys_on_the_log(self) -> int:
        """Return how many things of this source the log has events of."""
        consumer = open_reader(self.grounds.bootstrap, consumer_timeout_ms=1_000)
        try:
            places = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            return len({record.key for record in consumer if self.name.encode() in (record.value or b"")})
        finally:
            consumer.close()


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """Servers of this file's own: the sources are on one that is stopped."""
    engine = Engine(Settings(data_dir=tmp_path_factory.mktemp("sources")))
    try:
        places = engine.up()
        create_topics(places.bootstrap, topics(PARTITIONS), replication=1)
        yield Grounds(engine, places.bootstrap, places.key_secret, [])
    finally:
        engine.down()


@pytest.fixture
def office(grounds: Grounds, tmp_path: Path, unique: str) -> Office:
    """An empty source."""
    url = grounds.engine.create_database(unique).replace("+psycopg", "")
    made = Office(grounds, tmp_path, unique, url)
    made.sql(
        f"CREATE ROLE {made.role} LOGIN PASSWORD 'first'",
        f"GRANT CREATE ON DATABASE {unique} TO {made.role}",
        TABLE,
        f"GRANT SELECT ON ho_so TO {made.role}",
    )
    made.declare()
    return made


def test_sessions_ended_connections_refused_and_a_server_stopped_in_mid_page_lose_no_row(office: Office) -> None:
    office.fill("a", ROWS)
    process = office.start()
    try:
        for wanted in (500, 1_000, 1_500):
            office.wait_for(wanted, process)
            wait_until(lambda: office.end_sessions() > 0, process.output)
        office.sql(f"ALTER ROLE {office.role} CONNECTION LIMIT 0")
        office.end_sessions()
        wait_until(lambda: "no connection is free" in process.output(), process.output, 60)
        office.sql(f"ALTER ROLE {office.role} CONNECTION LIMIT -1")
        office.wait_for(office.published() + 100, process)
        office.grounds.engine.stop_postgres(immediate=True)
        wait_until(lambda: process.output().count("waits since") > process.output().count("goes on"), process.output)
        office.grounds.engine.start_postgres()
        # pages that are sent again count as published again
        wait_until(lambda: office.keys_on_the_log() == ROWS, process.output)
        assert process.is_alive()
    finally:
        process.stop()
    assert "Traceback" not in process.output()


def test_password_that_is_changed_ends_the_connector_in_words_and_put_right_it_goes_on(office: Office) -> None:
    office.fill("a", 300)
    process = office.start()
    try:
        office.wait_for(300, process)
        office.sql(f"ALTER ROLE {office.role} PASSWORD 'second'")
        office.fill("b", 100)
        office.wait_for(400, process)
        assert office.end_sessions() > 0
        assert process.wait(60) == 2
    finally:
        process.stop()
    assert "password authentication failed" in process.output()
    assert "set a new password" in process.output()
    office.sql(f"ALTER ROLE {office.role} PASSWORD 'first'")
    office.fill("c", 100)
    assert office.hub("run", "--once")[0] == 0
    assert (office.published(), office.keys_on_the_log()) == (500, 500)


def test_lacking_rights_are_told_by_check_as_by_run(office: Office) -> None:
    office.fill("a", 10)
    office.sql(f"REVOKE CREATE ON DATABASE {office.name} FROM {office.role}")
    for command in (("check",), ("run", "--once")):
        code, said = office.hub(*command)
        assert (code, "CREATE SCHEMA hub_connector" in said) == (2, True), said
    office.sql(f"CREATE SCHEMA hub_connector AUTHORIZATION {office.role}")
    assert office.hub("check")[0] == 0
    assert office.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'hub_connector'") == [(0,)]
    assert office.hub("run", "--once")[0] == 0
    office.sql("ALTER TABLE hub_connector.checkpoint OWNER TO hub")
    for command in (("check",), ("run", "--once")):
        code, said = office.hub(*command)
        assert (code, "permission denied for table checkpoint" in said) == (2, True), said
    office.sql("REVOKE USAGE ON SCHEMA public FROM public")
    code, said = office.hub("check")
    assert (code, "there is no table ho_so, or the user may not see it" in said) == (2, True), said


def test_clock_that_is_wrong_by_years_holds_up_no_neighbour_and_is_told(office: Office) -> None:
    office.declare(version="")
    office.fill("a", 10)
    process = office.start()
    try:
        office.wait_for(10, process)
        office.sql(
            f"INSERT INTO ho_so (ma, luc) VALUES ('{office.name}-ahead', '2061-01-01'),"
            f" ('{office.name}-old', '1993-01-01'), ('{office.name}-now', now())"
        )
        office.wait_for(12, process)
        rejects = json.loads(office.hub("status", "--json")[1])["streams"][0]["rejects"]
        assert rejects == {"TIME_IN_FUTURE": 1}
        code, said = office.hub("rejects")
        assert (code, f"{office.name}-ahead" in said) == (0, True), said
        office.sql(f"UPDATE ho_so SET luc = now() WHERE ma = '{office.name}-ahead'")
        office.wait_for(13, process)
    finally:
        process.stop()
    assert office.keys_on_the_log() == 13


def test_repair_that_is_killed_is_finished_by_the_next_and_an_epoch_is_raised_while_rows_change(
    office: Office, tmp_path: Path
) -> None:
    field = Field(office.grounds, f"w_{office.name}", tmp_path / "field")
    hub = {**field.environment(), "SOURCE_URL": office.environment()["SOURCE_URL"]}

    def compare(*more: str, code: int = 0) -> Any:
        ran = run_hub(hub, "connect", "compare", str(office.declaration), "--json", *more)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return json.loads(ran.stdout.splitlines()[0])["subjects"][0]

    def claims() -> int:
        return int(field.value("SELECT count(*) FROM dossier_progress_claim"))

    try:
        worker = field.worker()
        wait_until(lambda: "placed" in worker.output(), worker.output)
        office.declare(KNOWN)
        office.fill("a", 100)
        assert office.hub("run", "--once")[0] == 0
        office.fill("b", 4_000)
        _move_position(office)
        wait_until(lambda: claims() == 100, worker.output)
        assert compare(code=1)["missing"] == 4_000
        repair = (HUB, "connect", "compare", str(office.declaration), "--repair", "--execute", "--reason", "a test")
        before = office.grounds.log_length()
        with subprocess.Popen(repair, env=clean_environment(hub), stdout=subprocess.DEVNULL) as killed:
            wait_until(lambda: office.grounds.log_length() > before, lambda: "nothing is sent")
            killed.kill()
        run_hub(hub, "connect", "compare", str(office.declaration), "--repair", "--execute", "--reason", "a test")
        assert compare()["equal"]
        assert claims() == 4_100
        office.declare(KNOWN, more="epoch = 2")
        process = office.start()
        try:
            for turn in range(5):
                office.sql(f"UPDATE ho_so SET ban = ban + 1, tt = '2' WHERE ma LIKE '%{turn}'")
            wait_until(lambda: "waits" not in office.hub("status")[1] and office.published() >= 2_150, process.output)
        finally:
            process.stop()
        field.wait_for_all()
        assert compare()["equal"]
        epochs = dict(field.rows("SELECT source_epoch, count(*) FROM dossier_progress_claim GROUP BY 1"))
        assert epochs == {1: 2_050, 2: 2_050}
        assert all(row.balanced for row in field.ledger())
    finally:
        field.close()


def _move_position(office: Office) -> None:
    """Let the connector's position be beyond all rows, as if it had missed some: only a comparison finds them."""
    ((low,),) = office.sql("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    ((stored,),) = office.sql("SELECT position FROM hub_connector.checkpoint")
    position = position_text({**stored_position(stored, "a test"), "low": int(low)})
    with psycopg.connect(office.admin_url, autocommit=True) as connection:
        connection.execute("UPDATE hub_connector.checkpoint SET position = %s", (position,))
