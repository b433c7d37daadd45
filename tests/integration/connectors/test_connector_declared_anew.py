"""A declaration that is edited between two runs, values of ``where`` that are none of their column, views."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.checks.check import sample
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.streams.context import Context
from connectors.testing import catch_up
from hub.model.errors import ConfigError
from tests.conftest import RunningEngine

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.anew"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 2
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "{table}"
key = ["ma"]
changed_at = "luc"
{more}
[stream.fields]
dossier_code = "ma"
status = {{ constant = "REGISTERED" }}
"""
ROWS = """INSERT INTO {table} (ma, luc, loai, so) VALUES ('{first}1', '2025-07-01 08:00:00', 'A', 1),
          ('{first}2', '2025-07-01 08:00:01', 'B', 2), ('{first}3', '2025-07-01 08:00:02', 'A', 3)"""


class Source:
    """Two tables alike, and a view."""

    def __init__(self, url: str, time: str) -> None:
        self.url = url
        self._engine = create_engine(url, poolclass=NullPool)
        self._contexts: list[Context] = []
        for table, first in (("ho_so", "a"), ("ho_so_moi", "b")):
            columns = f"ma varchar(20) PRIMARY KEY, luc {time} NOT NULL, loai varchar(9), so integer"
            self.do(f"CREATE TABLE {table} ({columns})", ROWS.format(table=table, first=first))

    def do(self, *statements: str) -> None:
        """Run statements."""
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def context(self, table: str = "ho_so", more: str = "") -> Context:
        """Open the connector as a fresh process would."""
        declared = DECLARATION.format(table=table, more=more)
        context = open_context(parse_declaration(declared.encode()), "a secret of the tests", {"SOURCE_URL": self.url})
        self._contexts.append(context)
        return context

    def read(self, **declared: Any) -> set[str]:
        """Return the keys published in a run that ends when nothing is new."""
        context = self.context(**declared)
        return {event["dossier_code"] for event in catch_up(connectors_of(context)[0]).events()}

    def close(self) -> None:
        """Let go of the connections."""
        for context in self._contexts:
            context.engine.dispose()
            context.state.close()


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    """A source of each database, one after the other."""
    if request.param == "postgresql":
        running: RunningEngine = request.getfixturevalue("engine")
        source = Source(running.create_database(f"s{request.getfixturevalue('unique')}"), "timestamp")
    elif request.param == "mariadb":
        source = Source(request.getfixturevalue("mariadb_url"), "datetime(6)")
    else:
        source = Source(f"sqlite:///{request.getfixturevalue('tmp_path')}/source.db", "timestamp")
    yield source
    source.close()


def test_another_table_is_read_from_its_beginning(source: Source) -> None:
    assert source.read() == {"a1", "a2", "a3"}
    source.do("UPDATE ho_so SET luc = '2025-07-02 08:00:00'")
    source.read()
    assert source.read(table="ho_so_moi") == {"b1", "b2", "b3"}


def test_wider_where_reads_the_rows_that_it_takes_in(source: Source) -> None:
    assert source.read(more='where = { loai = "A" }') == {"a1", "a3"}
    source.do("UPDATE ho_so SET luc = '2025-07-02 08:00:00' WHERE loai = 'A'")
    source.read(more='where = { loai = "A" }')
    assert "a2" in source.read(more='where = { loai = ["A", "B"] }')


def test_number_of_where_meets_text_and_number_alike(source: Source) -> None:
    source.do("UPDATE ho_so SET loai = '1' WHERE ma = 'a1'", "UPDATE ho_so SET loai = '1abc' WHERE ma = 'a2'")
    assert source.read(more="where = { loai = 1 }") == {"a1"}
    assert source.read(more="where = { so = [1, 2] }") == {"a1", "a2"}
    assert source.read(more='where = { so = "3" }') == {"a3"}
    assert source.read(more='where = { luc = "2025-07-01 08:00:00" }') <= {"a1"}


@pytest.mark.parametrize(("column", "value"), [("so", '"x"'), ("luc", '"x"'), ("so", '["1", "hai"]')])
def test_where_whose_value_is_none_of_the_column_is_refused_by_check_and_run(
    source: Source, column: str, value: str
) -> None:
    if source.url.startswith("sqlite"):
        # any column of SQLite holds any value
        assert source.read(more=f"where = {{ {column} = {value} }}") <= {"a1"}
        return
    context = source.context(more=f"where = {{ {column} = {value} }}")
    with pytest.raises(ConfigError, match=rf"where\.{column}: the column is .* cannot be compared with it"):
        sample(context, context.declaration.streams[0])
    with pytest.raises(ConfigError, match=rf"where\.{column}: the column is .* cannot be compared with it"):
        source.read(more=f"where = {{ {column} = {value} }}")


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        *(("uuid", "53f90782-57a8-0df0-a0fc-7319657c9a5d", "x"), ("muc", "A", "Z"), ("inet", "10.0.0.1", "x")),
        *(("bytea", "x", None), ("interval", "1 day", "x"), ("date", "2025-07-01", "01/13/2025"), ("bit", "1", "2")),
    ],
)
def test_where_on_any_type_of_postgresql(
    engine: RunningEngine, unique: str, type_: str, good: str, bad: str | None
) -> None:
    source = Source(engine.create_database(f"s{unique}"), "timestamp")
    source.do("CREATE TYPE muc AS ENUM ('A', 'B')", f"ALTER TABLE ho_so ADD COLUMN x {type_}")
    source.do(f"UPDATE ho_so SET x = '{good}' WHERE ma = 'a2'")
    try:
        assert source.read(more=f'where = {{ x = "{good}" }}') == {"a2"}
        if bad is not None:
            with pytest.raises(ConfigError, match=r"where\.x: the column is"):
                source.read(more=f'where = {{ x = "{bad}" }}')
    finally:
        source.close()


def test_view_is_read_by_its_times_without_a_word_in_the_declaration(source: Source) -> None:
    source.do("CREATE VIEW nhin AS SELECT * FROM ho_so")
    assert source.read(table="nhin") == {"a1", "a2", "a3"}
    source.do("UPDATE ho_so SET luc = '2025-07-03 08:00:00' WHERE ma = 'a2'")
    # what lies within the overlap is met again by a process that has just begun, and no older row
    assert "a2" in source.read(table="nhin")
    assert source.read(table="nhin") == {"a2"}
    if source.url.startswith("postgresql"):
        with pytest.raises(ConfigError, match="needs a table of PostgreSQL itself, not a view"):
            source.read(table="nhin", more='late_rows = "horizon"')


def test_other_way_of_reading_begins_anew(engine: RunningEngine, unique: str) -> None:
    source = Source(engine.create_database(f"s{unique}"), "timestamp")
    try:
        assert source.read() == {"a1", "a2", "a3"}
        assert source.read(more='late_rows = "overlap"') == {"a1", "a2", "a3"}
        assert source.read(more='late_rows = "horizon"') == {"a1", "a2", "a3"}
    finally:
        source.close()
