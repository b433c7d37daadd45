"""Fixtures for tests on the real engine: one Kafka and one PostgreSQL per session, names of its own for each test."""

import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from hub.config import Settings

if TYPE_CHECKING:
    import sqlalchemy

    from hub.embedded.engine import Engine
    from tests.support.mariadb import RunningMariaDB


hypothesis.settings.register_profile(
    "hub",
    deadline=None,  # nor is a slow draw a fault: how fast a machine is, is measured by benches
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("hub")


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """The session's engine with its settings and where it is."""

    engine: "Engine"
    settings: Settings
    bootstrap: str
    key_secret: str

    def create_database(self, name: str) -> str:
        """Create a database on the session's server and return its URL."""
        return self.engine.create_database(name)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """The embedded engine, started once in a temporary folder; Kafka's jars come from the user's cache."""
    # Unit tests load this file too, and need neither the engine nor its client libraries.
    from hub.embedded.engine import Engine

    settings = Settings(data_dir=tmp_path_factory.mktemp("engine"))
    embedded = Engine(settings)
    try:
        endpoints = embedded.up()
        yield RunningEngine(embedded, settings, endpoints.bootstrap, endpoints.key_secret)
    finally:
        embedded.down()


@pytest.fixture(autouse=True)
def _closed_sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the connections of every source that a test opened: left open, they are a warning in a later test."""
    engines = sys.modules.get("connectors.engines")  # a test that opens sources has imported it
    if engines is None:
        yield
        return
    opened: list[sqlalchemy.Engine] = []
    create = engines.create_engine

    def create_and_note(*arguments: Any, **options: Any) -> "sqlalchemy.Engine":
        opened.append(create(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(engines, "create_engine", create_and_note)
    yield
    for one in opened:
        one.dispose()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[RunningMariaDB]":
    """A MariaDB server of the session; its tests are left out, and named at the end, where it is not installed."""
    from tests.support.mariadb import HOW, programs, running

    if programs() is None:
        pytest.skip(f"{LEFT_OUT}: MariaDB's server is not installed; {HOW}")
    with running(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb: "RunningMariaDB", unique: str) -> Iterator[str]:
    """URL of a fresh, empty database of MariaDB, dropped after the test."""
    name = f"test_{unique}"
    yield mariadb.create_database(name)
    mariadb.drop_database(name)


LEFT_OUT = "LEFT OUT"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly which tests did not run because a part is not installed."""
    left_out = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and LEFT_OUT in report.longrepr[2]
    ]
    if left_out:
        terminalreporter.section("TESTS LEFT OUT: A PART IS NOT INSTALLED", sep="!", red=True, bold=True)
        for reason in sorted({str(report.longrepr[2]) for report in left_out}):
            terminalreporter.line(reason.removeprefix("Skipped: "), red=True, bold=True)
        for name in sorted({report.nodeid for report in left_out}):
            terminalreporter.line(f"  {name}", red=True)
        terminalreporter.line(f"{len(left_out)} tests did not run.", red=True, bold=True)


@pytest.fixture
def unique() -> str:
    """A short name that no other test has, fit for topics, consumer groups and databases."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def database_url(engine: RunningEngine, unique: str) -> Iterator[str]:
    """URL of a fresh, empty database, dropped after the test."""
    name = f"test_{unique}"
    yield engine.create_database(name)
    engine.engine.drop_database(name)


@pytest.fixture
def topic_prefix(unique: str) -> str:
    """Prefix for the topics of one test; ``unique_topic`` and consumer groups begin with it."""
    return f"test.{unique}"


@pytest.fixture
def kafka_topic(engine: RunningEngine, topic_prefix: str) -> Iterator[str]:
    """Name of a fresh topic with one partition, deleted after the test."""
    from kafka.admin import KafkaAdminClient, NewTopic

    client = KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    try:
        client.create_topics([NewTopic(topic_prefix, num_partitions=1, replication_factor=1)])
        yield topic_prefix
        client.delete_topics([topic_prefix])
    finally:
        client.close()


@pytest.fixture
def group_id(topic_prefix: str) -> str:
    """A consumer group id of one test's own."""
    return f"{topic_prefix}.group"


@pytest.fixture
def settings(engine: RunningEngine, database_url: str, tmp_path: Path) -> Settings:
    """Settings that lead to the session's Kafka and to this test's database, by address, as a deployment's would."""
    return Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=database_url,
        key_secret=engine.key_secret,
        data_dir=tmp_path / "hub",
    )
