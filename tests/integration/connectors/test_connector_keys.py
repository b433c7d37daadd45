"""Keys that do not tell rows apart, pages that end among equal keys, child rows that meet as the database says."""

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, run
from connectors.streams.context import Context
from connectors.testing import QUICK, MemoryPublisher, catch_up
from hub.model.errors import ConfigError
from tests.conftest import RunningEngine

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.keys"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = {page_rows}
{state}
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = {key}
version = "ban"
changed_at = "luc"
{late}
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
{fields}
"""
COLUMNS = "ma {ma}, ban integer DEFAULT 1, luc {time}, tt text DEFAULT '1'"
RESULTS = 'results = { child = "kq", on = { ho = "lien" }, order = ["ten"], items = { name = "ten" } }'


class Source:
    """A source on PostgreSQL or in a file, whose table has a column ``so`` besides those that are read."""

    def __init__(self, url: str, time: str) -> None:
        self.url = url
        self.columns = COLUMNS.format(ma="text", time=time)
        self._engine = create_engine(url, poolclass=NullPool)
        self._contexts: list[Context] = []

    def run(self, *statements: str) -> list[Any]:
        """Run statements; return the rows of the last."""
        rows: list[Any] = []
        with self._engine.begin() as connection:
            for statement in statements:
                result = connection.execute(text(statement))
                rows = list(result) if result.returns_rows else []
        return rows

    def context(self, key: str, page_rows: int = 2, fields: str = "", late: str = "", state: str = "") -> Context:
        """Open the connector as a fresh process would."""
        text_of = DECLARATION.format(key=key, page_rows=page_rows, fields=fields, late=late, state=state)
        context = open_context(parse_declaration(text_of.encode()), "a secret of the tests", {"SOURCE_URL": self.url})
        self._contexts.append(context)
        return context

    def published(self, key: str, **options: Any) -> list[dict[str, Any]]:
        """Return all events of a run that ends when nothing is new."""
        return catch_up(connectors_of(self.context(key, **options))[0]).events()


@pytest.fixture(params=["postgresql", "sqlite"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A source of each database, one after the other."""
    if request.param == "sqlite":
        return Source(f"sqlite:///{tmp_path / 'source.db'}", "timestamp DEFAULT '2025-06-01 08:00:00'")
    return Source(request.getfixturevalue("database_url"), "timestamptz DEFAULT now()")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("1", "2", "NULL", "NULL", "NULL"), "3 rows have no value in so"),
        (("1", "1", "1", "1", "2"), "1 value is in more than one row"),
    ],
)
def test_table_whose_key_does_not_tell_rows_apart_is_refused_with_the_line_to_change(
    source: Source, rows: tuple[str, ...], said: str
) -> None:
    source.run(f"CREATE TABLE ho_so (id integer PRIMARY KEY, so int, {source.columns})")
    for number, row in enumerate(rows):
        source.run(f"INSERT INTO ho_so (id, so, ma) VALUES ({number}, {row}, 'M{number}')")
    with pytest.raises(ConfigError) as caught:
        source.published('["so"]')
    assert said in str(caught.value)
    assert 'key = ["so"]' in str(caught.value)
    assert 'key = ["id"]' in str(caught.value)


def test_rows_that_break_an_unkept_key_later_are_rejects_and_no_neighbour_is_lost(source: Source) -> None:
    source.run(f"CREATE TABLE ho_so (so int, {source.columns})")
    source.run("INSERT INTO ho_so (so, ma) VALUES (1,'A'),(2,'B'),(3,'C'),(5,'F')")
    context = source.context('["so"]')
    connector = connectors_of(context)[0]
    connector.stored()
    source.run("INSERT INTO ho_so (so, ma) VALUES (3,'C2'),(3,'C3'),(NULL,'N'),(NULL,'M'),(4,'E'),(2,'B2')")
    publisher = MemoryPublisher()
    run([connector], publisher, RunOptions(once=True, policy=QUICK))
    assert {event["dossier_code"] for event in publisher.events()} == {"A", "E", "F"}
    (state,) = context.state.summary()
    assert state.rejects == {"KEY_MISSING": 2, "KEY_SHARED": 5}
    source.run("DELETE FROM ho_so WHERE so IS NULL OR ma IN ('C2', 'C3', 'B2')", "UPDATE ho_so SET ban = 2")
    mended = source.context('["so"]')
    assert len(catch_up(connectors_of(mended)[0]).records) > 0
    assert mended.state.summary()[0].rejects == {}


def test_row_that_shared_its_key_is_a_reject_until_it_is_read_though_only_the_other_row_was_mended(
    source: Source,
) -> None:
    source.run(f"CREATE TABLE ho_so (so int, {source.columns})")
    source.run("INSERT INTO ho_so (so, ma) VALUES (1,'A'),(2,'B')")
    context = source.context('["so"]')
    connector = connectors_of(context)[0]
    connector.stored()
    source.run("INSERT INTO ho_so (so, ma) VALUES (3,'C'),(3,'D'),(NULL,'N'),(4,'E')")
    assert {event["dossier_code"] for event in catch_up(connector).events()} == {"A", "B", "E"}
    context.close()
    with pytest.raises(ConfigError, match="is in more than one row"):
        source.published('["so"]')
    # a mended row whose time is not written again, as in a correction by hand
    source.run("UPDATE ho_so SET so = 5 WHERE ma = 'D'", "UPDATE ho_so SET so = 6 WHERE ma = 'N'")
    mended = source.context('["so"]')
    again = connectors_of(mended)[0]
    again.stored()
    assert mended.state.summary()[0].rejects == {"KEY_MISSING": 1, "KEY_SHARED": 2}, "a start alone reads nothing"
    assert {"C", "D", "N"} <= {event["dossier_code"] for event in catch_up(again).events()}
    (state,) = mended.state.summary()
    assert state.rejects == {}
    assert "have keys of their own" in str(state.position["stepped_back"])
    mended.close()
    quiet = source.context('["so"]')
    assert "C" not in {event["dossier_code"] for event in catch_up(connectors_of(quiet)[0]).events()} or (
        source.url.startswith("sqlite")
    ), "the table is read again once; a poll with an overlap may repeat its last seconds"


def test_every_row_is_read_when_pages_end_among_keys_that_are_equal_to_the_database(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    kind, first, later = "text COLLATE NOCASE", ("'a'", "'B'", "'d'"), ("'b'", "'C'", "'c'")
    if source.url.startswith("postgresql"):
        kind, first, later = "numeric", ("1", "2.0", "4"), ("2.00", "3", "3.000")
    source.run(f"CREATE TABLE ho_so (so {kind}, {source.columns})")
    source.run(*(f"INSERT INTO ho_so (so, ma) VALUES ({key}, '{code}')" for code, key in enumerate(first, 1)))
    connector = connectors_of(source.context('["so"]'))[0]
    with caplog.at_level(logging.INFO):
        connector.stored()
    source.run(*(f"INSERT INTO ho_so (so, ma) VALUES ({key}, '{code}')" for code, key in enumerate(later, 4)))
    events = catch_up(connector).events()
    assert {event["dossier_code"] for event in events} == {"1", "2", "3", "4", "5", "6"}
    told = [record for record in caplog.records if "no constraint guarantees it" in record.message]
    assert [record.levelname for record in told] == ["INFO"], "check warns of it; a start does not"


@pytest.mark.parametrize(
    ("index", "is_kept"),
    [
        ("CREATE UNIQUE INDEX i ON ho_so (so)", True),
        ("CREATE UNIQUE INDEX i ON ho_so (so) INCLUDE (ma)", True),
        ("ALTER TABLE ho_so ADD PRIMARY KEY (so)", True),
        ("CREATE UNIQUE INDEX i ON ho_so (so, ma)", False),
        ("CREATE UNIQUE INDEX i ON ho_so (so) WHERE ban = 1", False),
        ("CREATE UNIQUE INDEX i ON ho_so ((so || 'x'))", False),
        ('CREATE UNIQUE INDEX i ON ho_so (so COLLATE "C")', True),
        ("CREATE TABLE con () INHERITS (ho_so); CREATE UNIQUE INDEX i ON ho_so (so)", False),
    ],
)
def test_constraint_keeps_a_key_of_postgresql_only_where_every_row_obeys_it(
    database_url: str, index: str, is_kept: bool
) -> None:
    source = Source(database_url, "timestamptz DEFAULT now()")
    source.run(f"CREATE TABLE ho_so (so text NOT NULL, {source.columns})", *index.split("; "))
    source.run("INSERT INTO ho_so (so, ma) VALUES ('1','A')")
    table = connectors_of(source.context('["so"]'))[0].table()
    assert table.proof.is_kept is is_kept
    source.run("ALTER TABLE ho_so ALTER so DROP NOT NULL") if "PRIMARY" not in index else None
    nullable = connectors_of(source.context('["so"]'))[0].table().proof.nullable
    assert nullable == (frozenset() if "PRIMARY" in index else frozenset({"so"}))


def test_primary_key_of_sqlite_that_may_be_null_is_asked_for_nulls(tmp_path: Path) -> None:
    source = Source(f"sqlite:///{tmp_path / 'source.db'}", "timestamp DEFAULT '2025-06-01 08:00:00'")
    source.run(f"CREATE TABLE ho_so (so TEXT PRIMARY KEY, {source.columns})")
    source.run("INSERT INTO ho_so (so, ma) VALUES ('1','A'),(NULL,'B'),(NULL,'C')")
    with pytest.raises(ConfigError, match="2 rows have no value in so"):
        source.published('["so"]')


@pytest.mark.parametrize(
    ("parent", "child", "value", "other"),
    [
        ("char(20)", "varchar(20)", "F03-a", "F03-a"),
        ("varchar(20)", "char(20)", "F03-a", "F03-a"),
        ("text", "char(20)", "F03-a", "F03-a"),
        ("numeric(10,2)", "integer", "1", "1"),
        ("integer", "numeric(10,2)", "1", "1"),
        ("bigint", "double precision", "7", "7"),
        ("numeric", "numeric", "1.0", "1.00"),
        ("ma_so", "varchar(20)", "F03-a", "F03-a"),
        ("uuid", "uuid", "6f1a0b9e-7c55-4c1e-8a55-0a1b2c3d4e5f", "6F1A0B9E7C554C1E8A550A1B2C3D4E5F"),
        ("timestamptz", "timestamptz", "2025-06-01 08:00+07", "2025-06-01 01:00+00"),
        ("inet", "cidr", "10.0.0.0/8", "10.0.0.0/8"),
        ("bytea", "bytea", "\\x00ff", "\\x00FF"),
        ("double precision", "double precision", "NaN", "NaN"),
        ("double precision", "double precision", "-0", "0"),
    ],
)
def test_child_rows_meet_their_parent_as_postgresql_says(
    database_url: str, parent: str, child: str, value: str, other: str
) -> None:
    source = Source(database_url, "timestamptz DEFAULT now()")
    source.run("CREATE DOMAIN ma_so AS char(20)")
    source.run(
        f"CREATE TABLE ho_so (so int PRIMARY KEY, lien {parent}, {source.columns})",
        f"CREATE TABLE kq (ho {child}, ten text)",
        f"INSERT INTO ho_so (so, lien, ma) VALUES (1, '{value}', 'A'), (2, NULL, 'B')",
        f"INSERT INTO kq VALUES ('{other}', 'x'), ('{other}', 'y'), (NULL, 'z')",
    )
    assert source.run("SELECT count(*) FROM ho_so JOIN kq ON ho = lien") == [(2,)]
    events = source.published('["so"]', fields=RESULTS)
    assert {event["dossier_code"]: [one["name"] for one in event["results"] or []] for event in events} == {
        "A": ["x", "y"],
        "B": [],
    }


@pytest.mark.parametrize(
    ("parent", "child", "value", "other"),
    [
        ("TEXT", "INTEGER", "'7'", "7"),
        ("INTEGER", "TEXT", "7", "'7'"),
        ("TEXT COLLATE NOCASE", "TEXT", "'F03-a'", "'f03-A'"),
        ("TEXT COLLATE RTRIM", "TEXT", "'F03-a'", "'F03-a   '"),
        ("REAL", "INTEGER", "7.0", "7"),
        ("BLOB", "BLOB", "x'00ff'", "x'00FF'"),
    ],
)
def test_child_rows_meet_their_parent_as_sqlite_says(
    tmp_path: Path, parent: str, child: str, value: str, other: str
) -> None:
    source = Source(f"sqlite:///{tmp_path / 'source.db'}", "timestamp DEFAULT '2025-06-01 08:00:00'")
    source.run(
        f"CREATE TABLE ho_so (so INTEGER PRIMARY KEY, lien {parent}, {source.columns})",
        f"CREATE TABLE kq (ho {child}, ten text)",
        f"INSERT INTO ho_so (so, lien, ma) VALUES (1, {value}, 'A'), (2, NULL, 'B')",
        f"INSERT INTO kq VALUES ({other}, 'x'), ({other}, 'y'), (NULL, 'z')",
    )
    joined = source.run("SELECT count(*) FROM kq JOIN ho_so ON ho = lien")[0][0]
    events = source.published('["so"]', fields=RESULTS)
    names = {event["dossier_code"]: [one["name"] for one in event["results"] or []] for event in events}
    assert names == {"A": ["x", "y"][:joined], "B": []}


def test_types_that_the_database_does_not_compare_are_configuration(database_url: str) -> None:
    source = Source(database_url, "timestamptz DEFAULT now()")
    source.run(
        f"CREATE TABLE ho_so (so int PRIMARY KEY, lien int, {source.columns})",
        "CREATE TABLE kq (ho text, ten text)",
        "INSERT INTO ho_so (so, lien, ma) VALUES (1, 1, 'A')",
    )
    with pytest.raises(ConfigError, match="cannot be compared"):
        source.published('["so"]', fields=RESULTS)


def test_page_of_more_rows_than_a_statement_takes_values_is_read(source: Source) -> None:
    source.run(
        f"CREATE TABLE ho_so (so integer PRIMARY KEY, lien text, {source.columns})",
        "CREATE TABLE kq (ho text, ten text)",
        "CREATE INDEX kq_ho ON kq (ho)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 66000)"
        " INSERT INTO ho_so (so, lien, ma) SELECT i, 'L' || i, 'M' || i FROM n",
        "INSERT INTO kq VALUES ('L1', 'x'), ('L66000', 'y')",
    )
    connector = connectors_of(source.context('["so"]', page_rows=70_000, fields=RESULTS))[0]
    with_results = [event for event in catch_up(connector).events() if event["results"]]
    assert {event["dossier_code"]: event["results"][0]["name"] for event in with_results} == {"M1": "x", "M66000": "y"}


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_sqlite_source_that_holds_its_own_state_is_read_and_may_be_written_meanwhile(
    tmp_path: Path, journal: str
) -> None:
    file = tmp_path / "source.db"
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.close()
    source = Source(f"sqlite:///{file}", "timestamp DEFAULT '2025-06-01 08:00:00'")
    source.run(f"CREATE TABLE ho_so (so TEXT PRIMARY KEY NOT NULL, {source.columns})")
    values = ",".join(f"('{number}', 'M{number}')" for number in range(10))
    source.run(f"INSERT INTO ho_so (so, ma) VALUES {values}")
    assert len(source.published('["so"]')) == 10
    source.run("UPDATE ho_so SET ban = ban + 1, luc = '2025-06-01 08:00:01'")
    connector = connectors_of(source.context('["so"]'))[0]
    publisher = MemoryPublisher()
    pages = connector.changes(connector.stored() or {})
    for page in pages:
        publisher.publish(connector.topic, page.records)
        connector.checkpoint(page)
        with sqlite3.connect(file, timeout=0) as owner:
            owner.execute("UPDATE ho_so SET tt = '1' WHERE so = '0'")
        owner.close()
    connector.close()
    assert {event["source_version"] for event in publisher.events()} == {2}
    assert len(publisher.events()) == 10


def test_file_that_may_not_be_written_says_that_the_state_must_lie_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "source.db"
    source = Source(f"sqlite:///{file}", "timestamp DEFAULT '2025-06-01 08:00:00'")
    source.run(f"CREATE TABLE ho_so (so INTEGER PRIMARY KEY, {source.columns})", "INSERT INTO ho_so (ma) VALUES ('A')")
    read_only = Source(f"sqlite:///file:{file}?mode=ro&uri=true", "")
    with pytest.raises(ConfigError, match=r"let \[state\] name another file"):
        read_only.published('["so"]')
    state = f'[state]\nurl = "sqlite:///{tmp_path / "state.db"}"'
    assert len(read_only.published('["so"]', state=state)) == 1


def test_role_that_may_not_make_the_state_is_told_what_to_grant(engine: RunningEngine, database_url: str) -> None:
    source = Source(database_url, "timestamptz DEFAULT now()")
    role = f"reader_{database_url.rsplit('_', 1)[-1]}"
    source.run(
        f"CREATE TABLE ho_so (so int PRIMARY KEY, {source.columns})",
        f"CREATE ROLE {role} LOGIN PASSWORD 'only for this test'",
        f"GRANT SELECT ON ho_so TO {role}",
    )
    url = create_engine(database_url).url.set(username=role, password="only for this test")  # noqa: S106 - of this test
    reader = Source(url.render_as_string(hide_password=False), "")
    try:
        with pytest.raises(ConfigError, match="CREATE SCHEMA hub_connector AUTHORIZATION"):
            reader.published('["so"]')
    finally:
        source.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
