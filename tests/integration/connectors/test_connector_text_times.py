"""Times that stand in SQLite as text: in any form that is read, each row is met once and none is lost."""

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from connectors.access.overlap import OverlapReading
from connectors.access.source import SourceTable
from connectors.access.ways import reading_of
from connectors.checks.check import sample
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, StreamCounts, run
from connectors.streams.context import Context
from connectors.testing import QUICK, MemoryPublisher
from hub.model.errors import ConfigError

DECLARATION = """
[source]
code = "test.times"
agency = "H25"
unit_scheme = "GSO_2025"
url = "sqlite:///{folder}/source.db"
page_rows = 2
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "{table}"
key = ["ma"]
changed_at = "luc"
[stream.fields]
dossier_code = "ma"
status = {{ constant = "REGISTERED" }}
"""
MANY = 20


class Source:
    """A file with one table."""

    def __init__(self, folder: Path, type_: str = "TEXT") -> None:
        self.folder = folder
        self.do(f"CREATE TABLE ho_so (ma TEXT PRIMARY KEY, luc {type_})")

    def do(self, statement: str) -> None:
        """Run a statement."""
        connection = sqlite3.connect(self.folder / "source.db")
        with connection:
            connection.execute(statement)
        connection.close()

    def write(self, key: str, time: str) -> None:
        """Insert a row; the time as SQL has it."""
        self.do(f"INSERT INTO ho_so VALUES ('{key}', {time})")

    def context(self, table: str = "ho_so") -> Context:
        """Open the connector as a fresh process would."""
        text = DECLARATION.format(folder=self.folder, table=table)
        return open_context(parse_declaration(text.encode()), "a secret of the tests", {})

    def read(self, table: str = "ho_so") -> tuple[list[str], dict[str, int]]:
        """Return the keys published in a run, and the rejects there are then; a run that never ends is an error."""
        context, publisher = self.context(table), MemoryPublisher()

        def stop_a_run_that_never_ends(counts: StreamCounts) -> None:
            assert counts.published < MANY, "the same rows are published again and again"

        options = RunOptions(once=True, policy=QUICK, progress=stop_a_run_that_never_ends)
        run(connectors_of(context), publisher, options)
        rejects = {state.stream: state.rejects for state in context.state.summary()}["progress"]
        return [event["dossier_code"] for event in publisher.events()], rejects


@pytest.mark.parametrize("type_", ["TEXT", "TIMESTAMP", "VARCHAR(30)", "DATE", ""])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2025-07-01T08:00:00", "2025-07-01T09:00:00"),
        ("2025-07-01 08:00:00", "2025-07-01T09:00:00"),
        ("2025-06-30T22:59:00Z", "2025-06-30T23:30:00Z"),
        ("2025-07-01 06:30:00", "2025-06-30T23:40:00.5Z"),
        ("2025-07-01T23:00:00-05:00", "2025-07-02T11:30:00+07:00"),
        ("2025-07-01T08:00:00+0700", "2025-06-30 21:30:00-05"),
        ("2025-07-01", "2025-07-02"),
    ],
)
def test_each_time_in_text_is_met_once_after_the_snapshot(tmp_path: Path, type_: str, first: str, second: str) -> None:
    source = Source(tmp_path, type_)
    source.write("a", f"'{first}'")
    source.write("old", "'2020-01-01T08:00:00'")
    assert sorted(set(source.read()[0])) == ["a", "old"]
    source.write("b", f"'{second}'")
    found, rejects = source.read()
    assert "b" in found
    assert "old" not in found
    assert rejects == {}


def test_time_without_hyphens_is_read_and_the_run_ends(tmp_path: Path) -> None:
    source = Source(tmp_path)
    source.write("a", "'20250701T080000'")
    source.write("b", "'2025-06-01 08:00:00'")
    assert sorted(set(source.read()[0])) == ["a", "b"]
    source.write("c", "'20250701T090000'")
    found, rejects = source.read()
    assert "c" in found
    assert rejects == {}


@pytest.mark.parametrize("time", ["'01/07/2025 08:00'", "''", "'hôm qua'", "1751328000", "NULL", "x'00'"])
def test_row_whose_time_is_none_that_is_read_is_a_reject_whenever_it_comes(tmp_path: Path, time: str) -> None:
    source = Source(tmp_path)
    source.write("a", "'2025-07-01 08:00:00'")
    source.read()
    source.write("b", time)
    for _ in range(2):
        found, rejects = source.read()
        assert "b" not in found
        assert sum(rejects.values()) == 1
    source.do("UPDATE ho_so SET luc = '2025-07-01 08:00:10' WHERE ma = 'b'")
    found, rejects = source.read()
    assert "b" in found
    assert rejects == {}


def test_view_of_a_file_whose_columns_have_no_type_is_read(tmp_path: Path) -> None:
    source = Source(tmp_path)
    source.do("CREATE VIEW nhin AS SELECT ma || '' AS ma, luc || '' AS luc FROM ho_so")
    source.write("a", "'2025-07-01 08:00:00'")
    assert source.read("nhin")[0] == ["a"]
    source.write("b", "'2025-07-01 08:00:30'")
    assert "b" in source.read("nhin")[0]


def test_compare_counts_as_unread_what_a_poll_may_not_have_met(tmp_path: Path) -> None:
    source = Source(tmp_path)
    for key, time in (("a", "2025-06-30T23:00:00Z"), ("b", "2025-07-01T06:00:30"), ("c", ""), ("d", "2020-01-01")):
        source.write(key, f"'{time}'")
    context = source.context()
    table = SourceTable(context.engine, context.declaration.streams[0])
    reading = reading_of(context.declaration, table)
    assert isinstance(reading, OverlapReading)
    position = {"phase": "changes", "mark": "2025-07-01T06:00:00+07:00"}
    unread = reading.unread(position, datetime.fromisoformat("2025-07-01T06:00:00+07:00"))
    assert unread is not None
    with context.engine.connect() as connection:
        assert {row[0] for row in connection.execute(unread)} == {"a", "b", "c"}
    context.engine.dispose()


def test_check_refuses_a_column_of_times_that_the_run_would_refuse(tmp_path: Path) -> None:
    source = Source(tmp_path, "INTEGER")
    context = source.context()
    with pytest.raises(ConfigError, match="changed_at = 'luc' to be, a column of date and time"):
        sample(context, context.declaration.streams[0])
