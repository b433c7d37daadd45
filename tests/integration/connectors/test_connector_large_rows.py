"""Rows of megabytes: a page has as many as fit into memory, each row comes once, and its small neighbours with it."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from sys import getsizeof

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from connectors.access.reading import Rows, snapshot_pages, window_pages
from connectors.access.source import SourceTable
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.streams.comparing import all_rows
from connectors.streams.context import Context
from connectors.tables.streaming import MOST_PAGE_BYTES
from connectors.testing import catch_up

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.large"
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
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
step_note = "ghi_chu"
"""
ROWS = 60
LARGE = range(40)
LARGE_BYTES = 3_000_000


@pytest.fixture(params=["postgresql", "sqlite"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Context]:
    """A table that begins with forty rows of megabytes."""
    is_postgresql = request.param == "postgresql"
    url = request.getfixturevalue("database_url") if is_postgresql else f"sqlite:///{tmp_path}/source.db"
    large = f"repeat('a', {LARGE_BYTES})" if is_postgresql else f"hex(zeroblob({LARGE_BYTES // 2}))"
    with create_engine(url, poolclass=NullPool).begin() as source:
        source.exec_driver_sql(
            "CREATE TABLE ho_so (ma varchar(20) PRIMARY KEY NOT NULL, ban int DEFAULT 1,"
            " luc timestamp DEFAULT '2025-06-01 08:00:00' NOT NULL, tt text DEFAULT '1', ghi_chu text)"
        )
        for number in range(ROWS):
            source.exec_driver_sql(f"INSERT INTO ho_so (ma, ghi_chu) VALUES ('L-{number:03}', 'Ghi chú')")
        source.exec_driver_sql(
            f"UPDATE ho_so SET ghi_chu = {large} WHERE ma BETWEEN 'L-{LARGE[0]:03}' AND 'L-{LARGE[-1]:03}'"
        )
    told = DECLARATION.format(folder=tmp_path).encode()
    opened = open_context(parse_declaration(told), "a secret of the tests", {"SOURCE_URL": url})
    yield opened
    opened.close()


def _pages(context: Context, way: str) -> Iterator[Rows]:
    table = SourceTable(context.engine, context.declaration.streams[0])
    table.prove_key()
    if way == "snapshot":
        yield from (rows for rows, _ in snapshot_pages(table, 5_000, {}))
    elif way == "changes":
        yield from (rows for rows, _ in window_pages(table, table.rows().order_by(*table.key), 5_000))
    else:
        yield from all_rows(table, table.rows())


@pytest.mark.parametrize("way", ["snapshot", "changes", "compare"])
def test_page_of_large_rows_is_short_and_every_row_comes_once(context: Context, way: str) -> None:
    keys: list[str] = []
    for rows in _pages(context, way):
        size = sum(map(getsizeof, chain.from_iterable(rows)))
        assert size < 2 * MOST_PAGE_BYTES, f"{len(rows)} rows, {size:,} bytes"
        keys += [str(row[0]) for row in rows]
    assert keys == [f"L-{number:03}" for number in range(ROWS)]


def test_large_texts_of_an_optional_field_are_left_out_and_noted_and_every_row_is_published(context: Context) -> None:
    (connector,) = connectors_of(context)
    events = catch_up(connector).events()
    assert len(events) == ROWS
    assert sum(event["step_note"] is None for event in events) == len(LARGE)
    assert {one.reason for one in context.state.rejects()} == {"FIELD_DROPPED"}
    assert len(context.state.rejects()) == len(LARGE)
