"""A table that is not the one that was read: made anew, swapped, attached to, reloaded, altered."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.base.port import Page
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, run
from connectors.streams.sql import SqlConnector
from connectors.testing import QUICK, MemoryPublisher, catch_up
from hub.model.errors import ConfigError
from tests.support.mariadb import RunningMariaDB

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.identity"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
[state]
url = "sqlite:///{folder}/state.db"
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
{more}
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
{fields}
"""
OVERLAP = 'late_rows = "overlap"'
COLUMNS = (
    "ma varchar(40) PRIMARY KEY, ban int DEFAULT 1, luc {time} DEFAULT '2025-06-01 08:00:00', tt varchar(9) DEFAULT '1'"
)


class Source:
    """A table ``ho_so`` and its connector, opened as a fresh process would at each ``open``."""

    def __init__(self, url: str, folder: Path, more: str = "", fields: str = "") -> None:
        self.url = url
        self._folder = folder
        self._more, self._fields = more, fields
        self._engine = create_engine(url, poolclass=NullPool)
        kind = "timestamptz" if url.startswith("postgresql") else "datetime"
        self.columns = COLUMNS.format(time=kind)

    def run(self, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        for statement in statements:
            with self._engine.begin() as connection:
                connection.execute(text(statement))

    def add(self, table: str, *codes: str) -> None:
        """Insert rows, all with the same time."""
        self.run(*(f"INSERT INTO {table} (ma) VALUES ('{code}')" for code in codes))

    def open(self) -> SqlConnector:
        """Return the connector of a fresh process."""
        said = DECLARATION.format(folder=self._folder, more=self._more, fields=self._fields)
        declared = parse_declaration(said.encode())
        return connectors_of(open_context(declared, "a secret of the tests", {"SOURCE_URL": self.url}))[0]

    def read(self) -> set[str]:
        """Return the codes that a run publishes."""
        return {event["dossier_code"] for event in catch_up(self.open()).events()}

    def stepped_back(self) -> str:
        """Return what the stored position says was read again."""
        with closing(self.open()) as connector:
            stored = dict(connector.stored() or {})
        said = stored.get("stepped_back")
        return str(said["read_again"]) if isinstance(said, dict) else ""


@pytest.fixture
def postgres(database_url: str, tmp_path: Path) -> Source:
    source = Source(database_url, tmp_path)
    source.run(f"CREATE TABLE ho_so ({source.columns})")
    return source


@pytest.fixture
def file(tmp_path: Path) -> Source:
    source = Source(f"sqlite:///{tmp_path / 'source.db'}", tmp_path)
    source.run(f"CREATE TABLE ho_so ({source.columns})")
    return source


def _make_anew(source: Source) -> None:
    source.run("DROP TABLE ho_so", f"CREATE TABLE ho_so ({source.columns})")
    source.add("ho_so", "new")
    source.run("UPDATE ho_so SET luc = '2020-01-01 08:00:00'")


def _swap(source: Source) -> None:
    source.run("ALTER TABLE ho_so RENAME TO ho_so_cu", "ALTER TABLE ho_so_moi RENAME TO ho_so")


def _prepare(source: Source) -> None:
    """Make the table to swap in: its row was written long before the last one that is read."""
    source.run(f"CREATE TABLE ho_so_moi ({source.columns})")
    source.add("ho_so_moi", "swapped")
    source.run("UPDATE ho_so_moi SET luc = '2020-01-01 08:00:00'")


def test_table_swapped_by_rename_is_read_whole_though_its_rows_are_older_than_the_position(postgres: Source) -> None:
    _prepare(postgres)
    postgres.add("ho_so", "old")
    assert postgres.read() == {"old"}
    _swap(postgres)
    assert postgres.read() == {"swapped"}
    assert "recreated, swapped or altered" in postgres.stepped_back()
    assert postgres.read() == set()


def test_table_swapped_while_the_connector_runs_is_read_whole(
    postgres: Source, caplog: pytest.LogCaptureFixture
) -> None:
    _prepare(postgres)
    postgres.add("ho_so", "old")
    connector, publisher, stop = postgres.open(), MemoryPublisher(), threading.Event()
    runs = threading.Thread(
        target=run, args=([connector], publisher, RunOptions(policy=QUICK, poll_s=0.01, stop=stop)), daemon=True
    )
    runs.start()
    try:
        _until(lambda: _codes(publisher) == {"old"})
        _swap(postgres)
        _until(lambda: _codes(publisher) == {"old", "swapped"})
        postgres.add("ho_so", "after")
        _until(lambda: _codes(publisher) == {"old", "swapped", "after"})
    finally:
        stop.set()
        runs.join()
    assert "the whole table is read again" in caplog.text


def test_table_that_is_away_for_a_moment_is_waited_for_and_read_whole(
    postgres: Source, caplog: pytest.LogCaptureFixture
) -> None:
    _prepare(postgres)
    postgres.add("ho_so", "old")
    catch_up(postgres.open())
    connector, publisher = postgres.open(), MemoryPublisher()
    connector.stored()
    postgres.run("ALTER TABLE ho_so RENAME TO ho_so_cu")

    class Swapping:
        """Brings the table back at the connector's first try after it was missed."""

        tries = 0

        def wait(self, waits_for: str | None, since: Any) -> None:
            self.tries += 1
            if waits_for and self.tries == 1:
                postgres.run("ALTER TABLE ho_so_moi RENAME TO ho_so")

    swapping = Swapping()
    connector.keep_wait = swapping.wait  # type: ignore[method-assign]
    run([connector], publisher, RunOptions(once=True, policy=QUICK))
    assert swapping.tries > 0
    assert _codes(publisher) == {"swapped"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE ho_so DROP COLUMN tt", "there is no column 'tt'"),
        ("ALTER TABLE ho_so RENAME COLUMN tt TO trang_thai", "there is no column 'tt'"),
        ("ALTER TABLE ho_so RENAME TO ho_so_cu", "there is no table ho_so"),
    ],
)
@pytest.mark.parametrize("is_running", [True, False])
def test_table_altered_for_good_is_configuration_with_what_is_missing(
    postgres: Source, change: str, said: str, is_running: bool
) -> None:
    postgres.add("ho_so", "old")
    catch_up(postgres.open())
    connector = postgres.open()
    if is_running:
        connector.stored()
    postgres.run(change)
    with pytest.raises(ConfigError, match=said):
        catch_up(connector)


@pytest.mark.parametrize("is_running", [True, False])
def test_column_of_another_type_is_read_as_it_is_now(postgres: Source, is_running: bool) -> None:
    postgres.add("ho_so", "old")
    catch_up(postgres.open())
    connector = postgres.open()
    if is_running:
        connector.stored()
    postgres.run("ALTER TABLE ho_so ALTER tt DROP DEFAULT", "ALTER TABLE ho_so ALTER tt TYPE int USING tt::int")
    postgres.run("INSERT INTO ho_so (ma, tt) VALUES ('new', 1)")
    assert _codes(catch_up(connector)) == {"old", "new"}


def test_partition_attached_with_rows_is_read_and_one_made_empty_is_no_reason(
    database_url: str, tmp_path: Path
) -> None:
    source = Source(database_url, tmp_path)
    columns = source.columns.replace(" PRIMARY KEY", "")
    source.run(
        f"CREATE TABLE ho_so ({columns}, PRIMARY KEY (ma)) PARTITION BY RANGE (ma)",
        "CREATE TABLE ho_so_a PARTITION OF ho_so FOR VALUES FROM ('a') TO ('b')",
        "CREATE TABLE ho_so_b (LIKE ho_so INCLUDING DEFAULTS)",
    )
    source.add("ho_so_b", "b-before")
    source.add("ho_so", "a-1")
    assert source.read() == {"a-1"}
    source.run("CREATE TABLE ho_so_c PARTITION OF ho_so FOR VALUES FROM ('c') TO ('d')")
    source.add("ho_so", "c-1")
    assert source.read() == {"c-1"}
    assert source.stepped_back() == ""
    source.run("ALTER TABLE ho_so ATTACH PARTITION ho_so_b FOR VALUES FROM ('b') TO ('c')")
    assert source.read() == {"a-1", "b-before", "c-1"}
    assert "attached" in source.stepped_back()
    source.run("ALTER TABLE ho_so DETACH PARTITION ho_so_b")
    source.add("ho_so_b", "b-meanwhile")
    assert source.read() == set()
    source.add("ho_so", "a-2")
    assert source.read() == {"a-2"}
    source.run("ALTER TABLE ho_so ATTACH PARTITION ho_so_b FOR VALUES FROM ('b') TO ('c')")
    assert "b-meanwhile" in source.read()


def test_truncated_and_reloaded_with_older_times_is_read_whole_and_vacuum_full_is_no_reason(
    database_url: str, tmp_path: Path
) -> None:
    source = Source(database_url, tmp_path, OVERLAP)
    source.run(f"CREATE TABLE ho_so ({source.columns})")
    source.add("ho_so", "old")
    assert source.read() == {"old"}
    source.run("INSERT INTO ho_so (ma, luc) VALUES ('newest', '2025-06-02 08:00:00')")
    assert "newest" in source.read()
    with create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM FULL ho_so"))
    source.read()
    assert source.stepped_back() == ""
    source.run(
        "BEGIN; TRUNCATE ho_so; INSERT INTO ho_so (ma, luc) VALUES ('newest', '2025-06-02 08:00:00'),"
        " ('reloaded', '2021-01-01'); COMMIT"
    )
    assert "reloaded" in source.read()
    assert "emptied or rewritten" in source.stepped_back()


def test_rows_reloaded_with_the_transaction_ids_of_their_copy_are_read(database_url: str, tmp_path: Path) -> None:
    source = Source(database_url, tmp_path, 'txid = "gd"')
    source.run(f"CREATE TABLE ho_so ({source.columns}, gd xid8 DEFAULT pg_current_xact_id())")
    source.add("ho_so", "old")
    assert source.read() == {"old"}
    source.run("TRUNCATE ho_so", "INSERT INTO ho_so (ma, gd) VALUES ('restored', '5')")
    assert source.read() == {"restored"}


def test_view_that_is_made_to_say_more_is_read_whole(database_url: str, tmp_path: Path) -> None:
    source = Source(database_url, tmp_path, OVERLAP)
    source.run(
        f"CREATE TABLE goc ({source.columns.replace(' PRIMARY KEY', '')})",
        "CREATE VIEW ho_so AS SELECT * FROM goc WHERE luc >= '2025-01-01'",
        "INSERT INTO goc (ma) VALUES ('now')",
        "INSERT INTO goc (ma, luc) VALUES ('older', '2020-01-01')",
    )
    assert source.read() == {"now"}
    source.run("CREATE OR REPLACE VIEW ho_so AS SELECT * FROM goc WHERE luc >= '2019-01-01'")
    assert source.read() == {"now", "older"}
    source.run("DROP VIEW ho_so", "ALTER TABLE goc RENAME TO goc_cu", "CREATE TABLE goc (LIKE goc_cu INCLUDING ALL)")
    source.run("INSERT INTO goc (ma, luc) VALUES ('oldest', '2019-06-01')", "CREATE VIEW ho_so AS SELECT * FROM goc")
    assert source.read() == {"oldest"}


def test_row_of_another_table_with_the_same_version_is_the_last_state(postgres: Source) -> None:
    postgres.run("INSERT INTO ho_so (ma, ban, luc) VALUES ('one', 7, '2025-06-01 08:00:00')")
    first = catch_up(postgres.open()).events()
    postgres.add("ho_so", "another")
    postgres.read()
    postgres.run("UPDATE ho_so SET ban = 7 WHERE ma = 'one'")
    postgres.read()
    postgres.run(
        f"CREATE TABLE ho_so_moi ({postgres.columns})",
        "INSERT INTO ho_so_moi (ma, ban, luc) VALUES ('one', 7, '2025-05-01 08:00:00')",
    )
    postgres.add("ho_so", "later")
    postgres.read()
    _swap(postgres)
    (again,) = catch_up(postgres.open()).events()
    assert again["source_version"] == first[0]["source_version"] + 1


def test_position_without_an_identity_learns_it_once_and_reads_nothing_again(postgres: Source) -> None:
    postgres.add("ho_so", "old")
    catch_up(postgres.open())
    with closing(postgres.open()) as connector:
        stored = dict(connector.stored() or {})
        del stored["identity"]
        connector.checkpoint(Page(stored))
    assert postgres.read() == set()
    with closing(postgres.open()) as connector:
        assert "identity" in (connector.stored() or {})
    _prepare(postgres)
    postgres.add("ho_so", "more")
    assert postgres.read() == {"more"}
    _swap(postgres)
    assert postgres.read() == {"swapped"}


def _make_and_swap(source: Source) -> None:
    _prepare(source)
    _swap(source)


@pytest.mark.parametrize("change", [_make_anew, _make_and_swap])
def test_table_of_a_file_that_is_another_one_is_read_whole(file: Source, change: Callable[[Source], object]) -> None:
    file.add("ho_so", "old")
    assert file.read() == {"old"}
    change(file)
    assert file.read() == ({"new"} if change is _make_anew else {"swapped"})
    assert "whole table" in file.stepped_back()


def test_row_older_than_the_mark_is_read_when_the_file_was_replaced(file: Source, tmp_path: Path) -> None:
    file.add("ho_so", "old")
    assert file.read() == {"old"}
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(tmp_path / "source.db")) as old, closing(sqlite3.connect(copy)) as new, new:
        new.executescript("\n".join(old.iterdump()))
        new.execute("INSERT INTO ho_so (ma, luc) VALUES ('older', '2020-01-01 08:00:00')")
    os.replace(copy, tmp_path / "source.db")
    assert file.read() == {"old", "older"}


def test_table_of_mariadb_that_is_made_anew_or_truncated_is_read_whole(mariadb: RunningMariaDB, tmp_path: Path) -> None:
    mariadb.create_database("identity")
    source = Source(f"{mariadb.url}identity", tmp_path)
    try:
        source.run(f"CREATE TABLE ho_so ({source.columns})")
        source.add("ho_so", "old")
        assert source.read() == {"old"}
        _next_second(source)
        source.run(
            "TRUNCATE ho_so",
            "INSERT INTO ho_so (ma) VALUES ('newest')",
            "INSERT INTO ho_so (ma, luc) VALUES ('reloaded', '2020-01-01 08:00:00')",
        )
        assert source.read() == {"newest", "reloaded"}
        assert "whole table" in source.stepped_back()
        assert "reloaded" not in source.read()
    finally:
        mariadb.drop_database("identity")


def _next_second(source: Source) -> None:
    """The server tells by the second when a table was made."""
    with create_engine(source.url, poolclass=NullPool).connect() as connection:
        now = text("SELECT NOW()")
        before = connection.execute(now).scalar()
        _until(lambda: connection.execute(now).scalar() != before)


def _codes(publisher: MemoryPublisher) -> set[str]:
    return {event["dossier_code"] for event in publisher.events()}


def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(3000):
        if is_so():
            return
        time.sleep(0.01)
    raise TimeoutError("it did not come to be")


RESULTS = 'results = { child = "kq", on = { ho = "ma" }, order = ["ten"], items = { name = "ten" } }'
NAMES = "ho varchar(40), ten varchar(20)"


def _lists(source: Source) -> dict[str, list[str]]:
    """Return the list of results in each event that a run publishes."""
    events = catch_up(source.open()).events()
    return {event["dossier_code"]: [one["name"] for one in event["results"] or []] for event in events}


def _recreated(source: Source) -> None:
    source.run("DROP TABLE kq", f"CREATE TABLE kq ({NAMES})", "INSERT INTO kq VALUES ('A', 'new')")


def _swapped(source: Source) -> None:
    source.run(f"CREATE TABLE kq_moi ({NAMES})", "INSERT INTO kq_moi VALUES ('A', 'new')")
    source.run("ALTER TABLE kq RENAME TO kq_cu", "ALTER TABLE kq_moi RENAME TO kq")


def _truncated(source: Source) -> None:
    source.run("TRUNCATE TABLE kq", "INSERT INTO kq VALUES ('A', 'new')")


def _emptied_and_loaded_between_polls(source: Source) -> None:
    source.run("DELETE FROM kq")
    assert "A" not in _lists(source), "its own row is as it was"
    source.run("INSERT INTO kq VALUES ('A', 'new')")


def _with_results(url: str, folder: Path) -> Source:
    source = Source(url, folder, fields=RESULTS)
    source.run(f"CREATE TABLE ho_so ({source.columns})", f"CREATE TABLE kq ({NAMES})")
    source.run("INSERT INTO kq VALUES ('A', 'old')")
    source.run("INSERT INTO ho_so (ma, luc) VALUES ('A', '2020-01-01 08:00:00')")
    source.run("INSERT INTO ho_so (ma, luc) VALUES ('B', '2025-06-01 08:00:00')")
    assert _lists(source) == {"A": ["old"], "B": []}
    return source


@pytest.mark.parametrize("change", [_recreated, _swapped, _truncated, _emptied_and_loaded_between_polls])
def test_child_table_of_postgresql_that_is_another_one_or_loaded_again_is_read_again_with_its_parents(
    database_url: str, tmp_path: Path, change: Callable[[Source], None]
) -> None:
    source = _with_results(database_url, tmp_path)
    change(source)
    assert _lists(source)["A"] == ["new"]
    assert "child table kq" in source.stepped_back()
    assert _lists(source) == {}, "it is read again once"


@pytest.mark.parametrize("change", [_recreated, _swapped, _emptied_and_loaded_between_polls])
def test_child_table_of_a_file_that_is_another_one_or_loaded_again_is_read_again_with_its_parents(
    tmp_path: Path, change: Callable[[Source], None]
) -> None:
    source = _with_results(f"sqlite:///{tmp_path / 'source.db'}", tmp_path)
    change(source)
    assert _lists(source)["A"] == ["new"]
    assert "whole table" in source.stepped_back()


@pytest.mark.parametrize("change", [_recreated, _swapped, _truncated])
def test_child_table_of_mariadb_that_is_another_one_or_truncated_is_read_again_with_its_parents(
    mariadb: RunningMariaDB, tmp_path: Path, change: Callable[[Source], None]
) -> None:
    mariadb.create_database("children")
    try:
        source = _with_results(f"{mariadb.url}children", tmp_path)
        _next_second(source)
        change(source)
        assert _lists(source)["A"] == ["new"]
        assert "child table kq" in source.stepped_back()
    finally:
        mariadb.drop_database("children")


def test_child_table_that_vacuum_full_rewrites_or_that_a_position_does_not_know_is_no_reason(
    database_url: str, tmp_path: Path
) -> None:
    without = Source(database_url, tmp_path)
    without.run(f"CREATE TABLE ho_so ({without.columns})", f"CREATE TABLE kq ({NAMES})")
    without.add("ho_so", "A")
    without.run("INSERT INTO kq VALUES ('A', 'old')")
    assert without.read() == {"A"}
    source = Source(database_url, tmp_path, fields=RESULTS)
    assert source.read() == set()
    with create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM FULL kq"))
    assert source.read() == set()
    assert source.stepped_back() == ""
