"""Rejects as their source sees them, rejects read again by another mapping, everything read again under a new epoch."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, run
from connectors.streams.context import Context
from connectors.streams.rejected import ShownReject, shown_rejects
from connectors.testing import QUICK, MemoryPublisher

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.rejects"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 2
{source}
[[stream]]
name = "{name}"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["huyen", "so"]
version = "ban"
changed_at = "luc"
{late}
[stream.fields]
dossier_code = {{ column = "ma", words = {{ "m1" = "D-1", "m4" = "D-4"{words} }} }}
status = {{ constant = "REGISTERED" }}
"""
DDL = "CREATE TABLE ho_so (huyen integer, so integer, ma text, ban integer, luc {time}, PRIMARY KEY (huyen, so))"
ROW = "INSERT INTO ho_so VALUES (7, {so}, {ma}, 1, '2025-06-01 {hour}:00:00')"
WORDS = ', "m2" = "D-2"'


class Source:
    """A source that may be read only: its state lies elsewhere."""

    def __init__(self, url: str, time: str, state: Path) -> None:
        self.url = url
        self._state = state
        self._seen: set[bytes] = set()
        self._contexts: list[Context] = []
        self._engine = create_engine(url, poolclass=NullPool)
        self.run(DDL.format(time=time))

    def run(self, *statements: str) -> None:
        """Run statements."""
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def fill(self) -> None:
        """Write a good row, one whose word no table has, one without a code."""
        self.run(
            ROW.format(so=1, ma="'m1'", hour="09"),
            ROW.format(so=2, ma="'m2'", hour="08"),
            ROW.format(so=3, ma="null", hour="08"),
        )

    def context(self, words: str = "", late: str = "", name: str = "progress", source: str = "") -> Context:
        """Open the connector as a fresh process would."""
        document = DECLARATION.format(words=words, late=late, name=name, source=source)
        document += f'[state]\nurl = "sqlite:///{self._state}"\n'
        environ = {"SOURCE_URL": self.url}
        self._contexts.append(open_context(parse_declaration(document.encode()), "a secret of the tests", environ))
        return self._contexts[-1]

    def close(self) -> None:
        """Let go of all that was opened."""
        for context in self._contexts:
            context.close()

    def published(self, context: Context) -> list[dict[str, Any]]:
        """Return the events of a run that ends when nothing is new, but for those that were sent before."""
        publisher = MemoryPublisher()
        try:
            run(connectors_of(context), publisher, RunOptions(once=True, policy=QUICK))
        finally:
            context.state.close()
        events = [event for event in publisher.events() if event["event_id"] not in self._seen]
        self._seen.update(event["event_id"] for event in events)
        return events


@pytest.fixture(params=["postgresql", "sqlite"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    """A source of each database, one after the other."""
    state = tmp_path / "state.db"
    if request.param == "sqlite":
        sqlite3.connect(tmp_path / "source.db").close()
        source = Source(f"sqlite:///{tmp_path}/source.db", "timestamp", state)
    else:
        source = Source(request.getfixturevalue("database_url"), "timestamptz", state)
    yield source
    source.close()


def by_so(shown: list[ShownReject]) -> dict[str, tuple[str, str, dict[str, str | None]]]:
    return {str((one.key or {})["so"]): (one.reason, one.detail.split(":")[0], dict(one.values)) for one in shown}


def test_rejects_are_shown_with_the_sources_own_key_and_the_value_that_failed(source: Source) -> None:
    source.fill()
    source.published(source.context())
    shown = shown_rejects(source.context())
    assert by_so(shown) == {
        "2": ("UNMAPPED_WORD", "dossier_code", {"ma": "m2"}),
        "3": ("REQUIRED_MISSING", "dossier_code", {"ma": None}),
    }
    assert all(dict(one.key or {})["huyen"] == "7" for one in shown)
    assert by_so(shown_rejects(source.context(), reason="REQUIRED_MISSING")).keys() == {"3"}
    assert shown_rejects(source.context(), stream="other") == []


def test_reject_tells_that_its_row_is_gone_and_that_its_stream_is(source: Source) -> None:
    source.fill()
    source.published(source.context())
    source.run("DELETE FROM ho_so WHERE so = 3")
    assert [one.key for one in shown_rejects(source.context(), reason="REQUIRED_MISSING")] == [None]
    told = shown_rejects(source.context(name="renamed"))
    assert [(one.stream, one.is_declared, one.key) for one in told] == [("progress", False, None)] * 2


def test_no_value_and_no_key_of_a_reject_is_in_the_state(source: Source, tmp_path: Path) -> None:
    source.fill()
    source.published(source.context())
    kept = sqlite3.connect(tmp_path / "state.db")
    rows = kept.execute("SELECT * FROM connector_reject").fetchall()
    kept.close()
    assert len(rows) == 2
    assert "m2" not in str(rows)
    assert not any(7 in row or "7" in row for row in rows)


def test_rejects_are_read_again_when_the_mapping_changed_and_nobody_touched_the_source(source: Source) -> None:
    source.fill()
    assert [event["dossier_code"] for event in source.published(source.context())] == ["D-1"]
    assert source.published(source.context()) == []
    again = source.published(source.context(words=WORDS))
    assert [event["dossier_code"] for event in again] == ["D-2"]
    assert by_so(shown_rejects(source.context(words=WORDS))).keys() == {"3"}
    # by the same mapping once
    context = source.context(words=WORDS)
    assert source.published(context) == []
    assert context.state.summary()[0].rejects == {"REQUIRED_MISSING": 1}


def test_everything_is_read_again_under_a_new_epoch_that_stays(source: Source) -> None:
    source.fill()
    source.published(source.context())
    context = source.context(words=WORDS)
    reading = context.state.read_again(["progress"], 1, "word 2 was missing")
    assert (reading.epoch, reading.reason) == (2, "word 2 was missing")
    said = [(event["dossier_code"], event["source_epoch"]) for event in source.published(context)]
    assert said == [("D-1", 2), ("D-2", 2)]
    source.run(ROW.format(so=4, ma="'m4'", hour="10"))
    later = source.published(source.context(words=WORDS))
    assert [(event["dossier_code"], event["source_epoch"]) for event in later] == [("D-4", 2)]
    assert source.context().state.full_reading() == reading
    context = source.context(source="epoch = 7")
    assert context.state.read_again(["progress"], 7, "once more").epoch == 8
    context.state.close()


def test_first_full_read_says_so_and_what_comes_after_does_not(source: Source) -> None:
    source.fill()
    first = source.published(source.context())
    assert [event["causation_id"] for event in first] == ["full-read"]
    source.run(ROW.format(so=4, ma="'m4'", hour="10"))
    assert [(event["dossier_code"], event["causation_id"]) for event in source.published(source.context())] == [
        ("D-4", None)
    ]


def test_row_met_again_after_a_full_read_has_the_version_that_it_had(database_url: str, tmp_path: Path) -> None:
    source = Source(database_url, "timestamptz", tmp_path / "state.db")
    source.run(ROW.format(so=1, ma="'m1'", hour="09").replace("'2025-06-01 09:00:00'", "now()"))
    context = source.context(late='late_rows = "overlap"')
    publisher = MemoryPublisher()
    run(connectors_of(context), publisher, RunOptions(once=True, policy=QUICK))
    context = source.context(late='late_rows = "overlap"')
    run(connectors_of(context), publisher, RunOptions(once=True, policy=QUICK))
    source.close()
    events = publisher.events()
    assert {event["source_version"] for event in events} == {1}
    assert len({event["event_id"] for event in events}) == 1
    assert len(events) > 1
