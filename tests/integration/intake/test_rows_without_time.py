"""Rows whose time of change is null, where a table is read by that time: they are asked for at every poll."""

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, DateTime

from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, StreamCounts, run
from connectors.streams.context import Context
from connectors.streams.sql import SqlConnector
from connectors.tables.times import timeless
from connectors.testing import QUICK, MemoryPublisher, catch_up

DECLARATION = """
[source]
code = "small.office"
agency = "H25.1"
unit_scheme = "GSO_2025"
url = "sqlite:///{folder}/source.db"
page_rows = 2
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
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
{more}
"""


class Source:
    """A table with rows that have a time and rows that have none, read by its time column."""

    def __init__(self, folder: Path, more: str = "", constraint: str = "") -> None:
        self._folder = folder
        text = DECLARATION.format(folder=folder, more=more)
        self.execute(f"CREATE TABLE ho_so (ma TEXT PRIMARY KEY, ban INTEGER, luc TIMESTAMP {constraint}, tt TEXT)")
        self.context: Context = open_context(parse_declaration(text.encode()), "a secret of the tests", {})

    def execute(self, statement: str) -> None:
        """Run a statement in the source."""
        with sqlite3.connect(self._folder / "source.db") as connection:
            connection.execute(statement)
        connection.close()

    def put(self, key: str, at: str | None, version: int = 1) -> None:
        """Write a row, with its time or with null."""
        when = "NULL" if at is None else f"'{at}'"
        self.execute(f"INSERT OR REPLACE INTO ho_so VALUES ('{key}', {version}, {when}, '1')")

    def connector(self) -> SqlConnector:
        """Open the connector as a fresh process would."""
        return connectors_of(self.context)[0]

    def rejects(self) -> dict[str, int]:
        """Return how many rows are set aside, by reason."""
        return next((state.rejects for state in self.context.state.summary()), {})


NOW = "2025-06-01 08:00:00.000001"


def test_row_without_time_is_a_reject_when_it_comes_after_the_snapshot(tmp_path: Path) -> None:
    source = Source(tmp_path)
    source.put("D-1", NOW)
    source.put("D-2", None)
    catch_up(source.connector())
    assert source.rejects() == {"TIME_MISSING": 1}
    source.put("D-3", NOW)
    source.put("D-4", None)
    source.put("D-5", None)
    source.put("D-6", None)
    published = catch_up(source.connector())
    assert "D-3" in {event["dossier_code"] for event in published.events()}
    assert source.rejects() == {"TIME_MISSING": 4}


def test_reject_is_resolved_when_the_row_has_a_time(tmp_path: Path) -> None:
    source = Source(tmp_path)
    source.put("D-1", NOW)
    source.put("D-2", None)
    catch_up(source.connector())
    source.put("D-3", None)
    catch_up(source.connector())
    source.put("D-2", NOW, 2)
    source.put("D-3", NOW, 2)
    published = catch_up(source.connector())
    assert {"D-2", "D-3"} <= {event["dossier_code"] for event in published.events()}
    assert source.rejects() == {}


def test_row_without_time_is_an_event_when_another_column_says_when_it_occurred(tmp_path: Path) -> None:
    source = Source(tmp_path, more='occurred_at = { column = "xay_ra" }')
    source.execute("ALTER TABLE ho_so ADD COLUMN xay_ra TIMESTAMP")
    source.execute(f"INSERT INTO ho_so VALUES ('D-1', 1, '{NOW}', '1', '{NOW}')")
    catch_up(source.connector())
    source.execute(f"INSERT INTO ho_so VALUES ('D-2', 1, NULL, '1', '{NOW}')")
    assert "D-2" in {event["dossier_code"] for event in catch_up(source.connector()).events()}


def test_rows_without_time_are_told_once_a_run_and_again_when_they_change(tmp_path: Path) -> None:
    source = Source(tmp_path)
    source.put("D-1", NOW)
    connector = source.connector()
    publisher = MemoryPublisher()
    rejected: list[int] = []
    changes: Iterator[tuple[str, str | None, int]] = iter(
        [("D-2", None, 1), ("D-3", NOW, 1), ("D-4", NOW, 1), ("D-2", None, 2)]
    )

    def after_page(counts: StreamCounts) -> None:
        rejected.append(counts.rejected)
        for change in itertools.islice(changes, 1):
            source.put(*change)

    run([connector], publisher, RunOptions(once=True, policy=QUICK, progress=after_page))
    assert rejected[-1] == 2
    assert source.rejects() == {"TIME_MISSING": 1}


@pytest.mark.parametrize("can_be_null", [False, True])
def test_rows_without_time_are_asked_for_only_where_the_column_can_be_null(can_be_null: bool) -> None:
    column = Column("luc", DateTime(timezone=True), nullable=can_be_null)
    assert (timeless(column, "postgresql") is not None) is can_be_null
    # a column of SQLite may hold anything, whatever it is declared as
    assert timeless(column, "sqlite") is not None
