"""Commands on a database that nobody has migrated, or long ago: what is missing and what to do, not a traceback."""

import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import make_url, text

from hub.config import Settings
from hub.embedded.locate import endpoints
from hub.model.errors import ConfigError
from hub.warehouse.database import open_database
from hub.warehouse.setup.await_tables import wait_until_migrated
from hub.warehouse.setup.migrate import alembic_config, check_migrated, migrate
from hub.warehouse.setup.roles import ensure_roles
from hub.warehouse.sources import store_sources
from hub.worker.assemble import _ready
from tests.conftest import RunningEngine
from tests.support.merge_world import POLICY
from tests.support.patience import HANG_S

pytestmark = pytest.mark.engine

# The package gives the name of this module to its function main.
cli = importlib.import_module("hub.cli.app")
Run = Callable[[str], tuple[int, str]]
COMMANDS = (
    "ledger",
    "parked list",
    "deadletters list",
    "review list",
    "operators list",
    "partitions list",
    "alerts list",
    "quality",
    "policy show",
    "replay list",
    "replay show 1",
    "audit status",
    "offsets show",
    "units show 00001",
    "citizen show 001299000123",
    "share --once",
    "share status",
    "share set-aside",
    "share republish citizen",
)


@pytest.fixture
def run(
    engine: RunningEngine,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Run:
    """Run a command on an empty database; return its exit code and what it says on stderr."""
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", engine.bootstrap)
    monkeypatch.setenv("HUB_KEY_SECRET", engine.key_secret)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(cli, "tune_process", lambda: None)

    def run(words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *words.split()])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().err

    return run


def test_commands_say_that_the_warehouse_was_not_migrated(run: Run) -> None:
    for words in COMMANDS:
        code, said = run(words)
        assert (words, code) == (words, 2)
        assert "configuration: the schema hub has no tables of the hub: run `hub db migrate`" in said, words


def test_commands_say_that_a_newer_hub_needs_more_tables(run: Run, database_url: str) -> None:
    engine = open_database(database_url, "hub", "test")
    ensure_roles(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA hub"))
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
    code, said = run("operators list")
    assert code == 2
    assert "the schema hub is at migration 0007, and this version of the hub needs " in said
    migrate(engine, "hub")
    assert run("operators list") == (0, "")
    check_migrated(engine, "hub")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE citizen_person_claim DROP COLUMN full_name"))
    with pytest.raises(ConfigError, match=r"lacks column citizen_person_claim\.full_name: run `hub db migrate`"):
        check_migrated(engine, "hub")
    engine.dispose()


def test_statement_that_is_wrong_on_a_complete_warehouse_is_a_bug(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_database(database_url, "hub", "test")
    migrate(engine, "hub")

    def act() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr(cli, "build_app", lambda _command: lambda standalone_mode: act())
    code, said = run("ledger")
    assert code == 1
    assert "bug: UndefinedTable, SQLSTATE 42P01" in said
    engine.dispose()


def test_process_that_runs_until_stopped_waits_for_the_tables_and_says_so(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    looking = open_database(database_url, "hub", "test")
    found: list[str] = []

    def wait() -> None:
        wait_until_migrated(looking, "hub")
        found.append("there")

    waiting = threading.Thread(target=wait)
    with caplog.at_level(logging.WARNING):
        waiting.start()
        _until(lambda: "the schema hub has no tables of the hub" in caplog.text)
        assert "waits (since 20" in caplog.text
        assert "run `hub db migrate`" in caplog.text
        assert found == []
        migrate(looking, "hub")
        waiting.join(60)
    assert found == ["there"]
    assert "goes on after" in caplog.text
    looking.dispose()


def test_worker_whose_user_may_make_no_tables_waits_for_them(
    engine: RunningEngine, database_url: str, unique: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    owner = open_database(database_url, "hub", "test")
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {unique} LOGIN PASSWORD 'x'"))
        connection.execute(text("CREATE SCHEMA hub"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA hub TO {unique}"))
    url = make_url(database_url).set(username=unique, password="x")  # noqa: S106 - of this test
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=url.render_as_string(hide_password=False),
        key_secret=engine.key_secret,
        data_dir=tmp_path,
    )
    mine = open_database(str(settings.database_url), "hub", "test")
    done: list[object] = []

    def wait() -> None:
        done.append(_ready(settings, endpoints(settings), mine, POLICY))

    waiting = threading.Thread(target=wait)
    try:
        with caplog.at_level(logging.WARNING):
            waiting.start()
            _until(lambda: "the schema hub is not complete" in caplog.text)
            migrate(owner, "hub")
            with owner.begin() as connection:
                connection.execute(text(f"GRANT hub_worker TO {unique}"))
            _until(lambda: "may not apply one" in caplog.text)
            with owner.begin() as connection:
                store_sources(connection, POLICY)
            waiting.join(60)
        assert len(done) == 1
    finally:
        mine.dispose()
        with owner.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {unique}"))
            connection.execute(text(f"DROP ROLE {unique}"))
        owner.dispose()


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
