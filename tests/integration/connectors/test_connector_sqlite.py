"""A source on SQLite, which has no horizon, with its state in a file of its own; and a broker that is not there."""

import os
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.declared.load import parse_declaration
from connectors.memory.lock import AnotherConnectorError
from connectors.opening import connectors_of, open_context
from connectors.running.publisher import KafkaPublisher
from connectors.running.run import RunOptions, run
from connectors.testing import QUICK, MemoryPublisher, catch_up
from hub.model.errors import UnreachableError

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
changed_at = "luc"
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
"""


def _write(folder: Path, key: str, at: datetime) -> None:
    with sqlite3.connect(folder / "source.db") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS ho_so (ma TEXT PRIMARY KEY, luc TIMESTAMP, tt INTEGER)")
        connection.execute("INSERT OR REPLACE INTO ho_so VALUES (?, ?, 1)", (key, at.isoformat(" ")))
    connection.close()


def test_row_with_an_earlier_time_is_met_within_the_overlap(tmp_path: Path) -> None:
    text = DECLARATION.format(folder=tmp_path)
    context = open_context(parse_declaration(text.encode()), "a secret of the tests", {})
    now = datetime(2025, 6, 1, 8, 0, 0, 1)  # noqa: DTZ001 - the source's local time
    for number in range(5):
        _write(tmp_path, f"D-{number}", now)
    connector = connectors_of(context)[0]
    assert len(catch_up(connector).records) == 5
    assert catch_up(connector).records == []
    _write(tmp_path, "D-late", now - timedelta(seconds=30))
    assert [event["dossier_code"] for event in catch_up(connector).events()] == ["D-late"]
    assert {state.stream: state.published for state in context.state.summary()} == {"progress": 6}


def test_source_is_read_only_when_state_lies_elsewhere(tmp_path: Path) -> None:
    text = DECLARATION.format(folder=tmp_path)
    _write(tmp_path, "D-1", datetime(2025, 6, 1, 8))  # noqa: DTZ001 - the source's local time
    context = open_context(parse_declaration(text.encode()), "a secret of the tests", {})
    run(connectors_of(context), MemoryPublisher(), RunOptions(once=True, policy=QUICK))
    with sqlite3.connect(tmp_path / "source.db") as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    connection.close()
    assert tables == ["ho_so"]


def test_publisher_says_unreachable_when_no_broker_answers() -> None:
    publisher = KafkaPublisher("127.0.0.1:1", "test")
    for _ in range(2):
        with pytest.raises(UnreachableError, match="cannot be reached"):
            publisher.publish("hub.dossier.progressed.v1", [(b"k" * 16, b"v")])
    publisher.close()


def test_second_connector_on_a_file_waits_and_is_told_who_holds_it(tmp_path: Path) -> None:
    _write(tmp_path, "D-1", datetime(2025, 6, 1, 8))  # noqa: DTZ001 - the source's local time
    text = DECLARATION.format(folder=tmp_path)
    first, second = (
        connectors_of(open_context(parse_declaration(text.encode()), "a secret of the tests", {}))[0] for _ in range(2)
    )
    first.stored()
    with pytest.raises(AnotherConnectorError, match=f"connector of small.office runs: process {os.getpid()} on"):
        second.stored()
    first.close()
    assert len(catch_up(second).records) == 1


def test_number_and_text_in_one_key_column_are_two_rows(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "source.db") as connection:
        connection.execute("CREATE TABLE ho_so (ma PRIMARY KEY NOT NULL, luc TIMESTAMP, tt INTEGER)")
        for key in (1, "1", 2.5, "2.5"):
            connection.execute("INSERT INTO ho_so VALUES (?, '2025-06-01 08:00:00', 1)", (key,))
    connection.close()
    declared = parse_declaration(DECLARATION.format(folder=tmp_path).encode())
    connector = connectors_of(open_context(declared, "a secret of the tests", {}))[0]
    first = catch_up(connector)
    assert len({event["event_id"] for event in first.events()}) == len(first.records) == 4
    assert catch_up(connector).records == []
