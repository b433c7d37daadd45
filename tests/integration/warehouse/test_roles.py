"""What the database's roles may not do, whatever a command or a stranger tries; and that commands still work."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, LargeBinary, insert, text
from sqlalchemy.exc import ProgrammingError

from hub.log.places import Place
from hub.model.errors import ConfigError
from hub.operate.actions import By
from hub.operate.dead_letters.edit import Change, edit_letter, plan_edit
from hub.operate.dead_letters.parked import show_queue
from hub.operate.desk.operators import add_operator
from hub.operate.evidence.status import evidence_status
from hub.warehouse.database import open_database
from hub.warehouse.setup.roles import DECIDED, READER, WITHHELD, WORKER
from hub.warehouse.sources import store_sources
from hub.warehouse.tables.core import metadata, parked
from tests.conftest import RunningEngine
from tests.support.whole_world import POLICY, SECRET, Whole

pytestmark = pytest.mark.engine

WORD = "a long enough credential"
NAME = "Nguyễn Văn Không Ai"
TOPIC = "hub.citizen.changed.v1"
cli = importlib.import_module("hub.cli.app")


@pytest.fixture
def desk(whole: Whole) -> Whole:
    """A dead letter with an edit, a parked record, an operator."""
    person = {
        "source_system": "dancu",
        "pin": "000299000001",
        "full_name": NAME,
        "birth_year": 1990,
        "source_epoch": -1,
    }
    whole.commit(whole.polled("citizen.changed", [person]))
    plan = plan_edit(whole.engine, SECRET, Place(TOPIC, 0, 0), Change(sets={"source_epoch": "12"}))
    edit_letter(whole.engine, plan, By("H42-017", "case 7"))
    add_operator(whole.engine, "H42-009", WORD, "root", "on duty")
    row = {"log": 1, "log_offset": 99, "subject": "dossier.submitted", "key": "0" * 32, "source": 1}
    with whole.engine.begin() as connection:
        connection.execute(insert(parked).values(**row, waits_for="citizen", record_key=b"k", record_value=b"bytes"))
    return whole


@pytest.fixture
def login(desk: Whole, unique: str) -> Iterator[Callable[[str], str]]:
    """Make logins that are nothing but members of a role; return their URL."""
    made = []

    def make(role: str) -> str:
        name = f"{role}_{unique}"
        made.append(name)
        with desk.engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE {role}"))
        return desk.engine.url.set(username=name, password="x").render_as_string(hide_password=False)  # noqa: S106

    yield make
    for name in made:
        while desk.rows(f"SELECT FROM pg_stat_activity WHERE usename = '{name}'"):
            time.sleep(0.05)
        with desk.engine.begin() as connection:
            connection.execute(text(f"DROP ROLE {name}"))


def refused(engine: Engine, statement: str) -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    except ProgrammingError as error:
        return "InsufficientPrivilege" in str(error)
    return False


def test_worker_writes_nothing_that_people_decide(desk: Whole) -> None:
    working = open_database(desk.engine.url.render_as_string(hide_password=False), "hub", "test", role=WORKER)
    allowed = []
    for name in DECIDED:
        column = metadata.tables[name].columns.keys()[0]
        for statement in (
            f"INSERT INTO {name} DEFAULT VALUES",
            f"UPDATE {name} SET {column} = {column}",
            f"DELETE FROM {name}",
            f"TRUNCATE {name} CASCADE",
        ):
            if not refused(working, statement):
                allowed.append(statement)
    assert allowed == []
    assert refused(working, "SELECT name FROM operator")
    assert {"policy", "operator", "letter_edit"} <= set(DECIDED)
    working.dispose()
    with desk.engine.begin() as connection:
        assert evidence_status(connection).changeable == ()
        connection.execute(text(f"GRANT UPDATE ON policy TO {WORKER}"))
        assert evidence_status(connection).changeable == ("policy",)
        connection.rollback()


def test_worker_that_may_not_apply_a_policy_says_who_does(desk: Whole, login: Callable[[str], str]) -> None:
    engine = open_database(login(WORKER), "hub", "test")
    with engine.begin() as connection:
        assert "dancu" in store_sources(connection, POLICY)
    engine.dispose()
    with desk.engine.connect() as connection:
        for name in ("authority", "policy"):
            connection.execute(text(f"DELETE FROM {name}"))
        connection.execute(text(f"SET LOCAL ROLE {WORKER}"))
        with pytest.raises(ConfigError, match="this user may not apply one: run `hub policy apply FILE"):
            store_sources(connection, POLICY)
        connection.rollback()


def test_reader_reads_all_but_hashes_of_credentials_and_bytes_of_records(desk: Whole) -> None:
    reading = open_database(desk.engine.url.render_as_string(hide_password=False), "hub", "test", role=READER)
    hidden = {(column.table.name, column.name) for column in WITHHELD}
    wrong = [
        (table.name, column.name)
        for table in metadata.tables.values()
        if not table.info.get("temporary") and not table._prefixes
        for column in table.columns
        if refused(reading, f'SELECT "{column.name}" FROM {table.name} LIMIT 1')
        != ((table.name, column.name) in hidden)
    ]
    assert wrong == []
    raw = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name.startswith("record_")
    }
    assert raw <= hidden
    for statement in ("SELECT * FROM operator", "SELECT dead_letter FROM dead_letter", "COPY parked TO STDOUT"):
        assert refused(reading, statement)
    reading.dispose()


@pytest.fixture
def hub(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[Any, str]]:
    """Run a command as some user of the database; return its exit code and all that it prints."""
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", engine.bootstrap)
    monkeypatch.setenv("HUB_KEY_SECRET", SECRET)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(cli, "tune_process", lambda: None)

    def run(url: str, *words: str) -> tuple[Any, str]:
        monkeypatch.setenv("HUB_DATABASE_URL", url)
        monkeypatch.setattr(sys, "argv", ["hub", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out + printed.err

    return run


def test_commands_that_read_work_for_a_reader(
    desk: Whole, login: Callable[[str], str], hub: Callable[..., tuple[Any, str]]
) -> None:
    url = login(READER)
    letter = f"{TOPIC}/0/0"
    for words in (
        ("deadletters", "list", "--state", "all"),
        ("deadletters", "list", "--json"),
        ("deadletters", "show", letter),
        ("deadletters", "show", letter, "--json"),
        ("deadletters", "redrive", letter),
        ("deadletters", "discard", letter),
        ("deadletters", "approve", letter, "--approved-by", "H42-009"),
        ("parked", "list"),
        ("operators", "list"),
        ("policy", "show"),
        ("review", "list"),
        ("quality",),
        ("replay", "list"),
        ("audit", "keys"),
    ):
        code, said = hub(url, *words)
        assert (words, code) == (words, 0), said
        assert NAME not in said
    code, said = hub(url, "deadletters", "show", letter, "--unmask", "--reason", "x")
    assert code == 1
    assert "42501: permission denied for table action" in said
    assert NAME not in said
    reading = open_database(url, "hub", "test")
    _, records = show_queue(reading, Place(desk.value("SELECT topic FROM log_partition WHERE id = 1"), 0, 99), None)
    assert [one.fields for one in records] == [None]
    reading.dispose()
