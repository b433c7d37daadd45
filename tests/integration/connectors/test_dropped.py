"""A bad optional value at the source: the row is published without it, shown on the source's side, and mended later."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.checks.every_row import StreamCheck
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, StreamCounts, run
from connectors.streams.context import Context
from connectors.streams.rejected import shown_rejects
from connectors.testing import QUICK, MemoryPublisher

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.dropped"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 2
remember_s = 0
overlap_s = 0
[state]
url = "sqlite:///{state}"
[[stream]]
name = "filed"
connector = "{connector}"
subject = "dossier.submitted"
table = "don"
key = ["id"]
{version}
changed_at = "luc"
{more}
[stream.fields]
dossier_code = "ma"
procedure_code = {{ constant = "1.001193" }}
applicant_birth_year = "nam"
applicant_commune_code = {xa}
"""
TABLE = "CREATE TABLE don (id integer PRIMARY KEY, ma text, nam text, xa text, luc {time}, ban bigint)"
ROW = "INSERT INTO don VALUES ({id}, 'H25-{id}', {nam}, {xa}, '2025-08-01 08:00:00', 1)"
PLAIN, PADDED = '"xa"', '{ column = "xa", pad = 5 }'


class Source:
    """A source that may be read only: its state lies elsewhere."""

    def __init__(self, url: str, time: str, state: Path) -> None:
        self.url = url
        self.state = state
        self._contexts: list[Context] = []
        self._engine = create_engine(url, poolclass=NullPool)
        self.run(TABLE.format(time=time))

    def run(self, *statements: str) -> None:
        """Run statements."""
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def fill(self, *rows: tuple[str, str]) -> None:
        """Write rows with these years and communes."""
        self.run(*(ROW.format(id=number, nam=nam, xa=xa) for number, (nam, xa) in enumerate(rows, 1)))

    def context(self, xa: str = PLAIN, more: str = "", connector: str = "table") -> Context:
        """Open the connector as a fresh process would."""
        version = 'version = "ban"' if connector == "table" else ""
        document = DECLARATION.format(state=self.state, xa=xa, more=more, connector=connector, version=version)
        environ = {"SOURCE_URL": self.url}
        self._contexts.append(open_context(parse_declaration(document.encode()), "a secret of the tests", environ))
        return self._contexts[-1]

    def close(self) -> None:
        """Let go of all that was opened."""
        for context in self._contexts:
            context.close()

    def published(self, context: Context) -> tuple[list[dict[str, Any]], StreamCounts]:
        """Return the events of a run that ends when nothing is new, and its counts."""
        publisher = MemoryPublisher()
        try:
            (counts,) = run(connectors_of(context), publisher, RunOptions(once=True, policy=QUICK))
        finally:
            context.state.close()
        return publisher.events(), counts


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


GOOD, BAD_YEAR, NO_YEAR, SHORT_CODE = (
    ("'1990'", "'02635'"),
    ("'97'", "'02635'"),
    ("'không rõ'", "null"),
    ("'1990'", "'2635'"),
)


def said(events: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("dossier_code", "applicant_birth_year", "applicant_commune_code", "doubtful_fields")
    return [tuple(event[name] for name in names) for event in events]


def test_one_bad_optional_value_costs_its_field_and_not_the_dossier(source: Source) -> None:
    source.fill(GOOD, BAD_YEAR, NO_YEAR, SHORT_CODE)
    events, counts = source.published(source.context())
    assert said(events) == [
        ("H25-1", 1990, "02635", None),
        ("H25-2", None, "02635", "applicant_birth_year DROPPED OUT_OF_RANGE"),
        ("H25-3", None, None, "applicant_birth_year DROPPED BAD_NUMBER"),
        ("H25-4", 1990, None, "applicant_commune_code DROPPED LEADING_ZEROS_LOST"),
    ]
    assert (counts.published, counts.dropped, counts.rejected) == (4, 3, 0)


def test_text_that_was_dropped_stays_in_the_source_and_is_shown_on_its_side_only(
    source: Source, tmp_path: Path
) -> None:
    source.fill(GOOD, BAD_YEAR, NO_YEAR, ("'97'", "'2635'"))
    source.published(source.context())
    shown = shown_rejects(source.context(), reason="FIELD_DROPPED")
    assert {dict(one.key or {})["id"]: (one.detail, dict(one.values)) for one in shown} == {
        "2": ("applicant_birth_year DROPPED OUT_OF_RANGE", {"nam": "97"}),
        "3": ("applicant_birth_year DROPPED BAD_NUMBER", {"nam": "không rõ"}),
        "4": (
            "applicant_birth_year DROPPED OUT_OF_RANGE; applicant_commune_code DROPPED LEADING_ZEROS_LOST",
            {"nam": "97", "xa": "2635"},
        ),
    }
    state = "\n".join(sqlite3.connect(tmp_path / "state.db").iterdump())
    assert "không rõ" not in state
    assert "2635" not in state
    (summary,) = source.context().state.summary()
    assert (summary.dropped, summary.rejects) == (3, {})


@pytest.mark.parametrize("strict", ["strict = true", ""], ids=["stream", "field"])
def test_strict_declaration_sets_the_row_aside(source: Source, strict: str) -> None:
    source.fill(GOOD, SHORT_CODE, BAD_YEAR)
    rule = PLAIN if strict else '{ column = "xa", strict = true }'
    events, counts = source.published(source.context(rule, strict))
    dropped = [] if strict else [("H25-3", None, "02635", "applicant_birth_year DROPPED OUT_OF_RANGE")]
    assert said(events) == [("H25-1", 1990, "02635", None), *dropped]
    assert counts.rejected == 3 - len(events)
    reasons = {(one.reason, one.detail) for one in shown_rejects(source.context(rule, strict))}
    assert (
        "LEADING_ZEROS_LOST",
        "applicant_commune_code: has too few digits: leading zeros were lost",
    ) in reasons


def test_field_that_is_not_strict_in_a_strict_stream_is_dropped(source: Source) -> None:
    source.fill(SHORT_CODE, BAD_YEAR)
    context = source.context('{ column = "xa", strict = false }', "strict = true")
    events, counts = source.published(context)
    assert said(events) == [("H25-1", 1990, None, "applicant_commune_code DROPPED LEADING_ZEROS_LOST")]
    assert counts.rejected == 1


@pytest.mark.parametrize("connector", ["table", "outbox"])
def test_changed_mapping_sends_again_what_had_lost_a_value_under_the_next_version(
    source: Source, connector: str
) -> None:
    source.fill(GOOD, SHORT_CODE, BAD_YEAR)
    first, _ = source.published(source.context(connector=connector))
    source.run(ROW.format(id=4, nam="'1990'", xa="'02635'"))
    source.published(source.context(connector=connector))  # what is remembered for no time is forgotten by now
    again, counts = source.published(source.context(PADDED, connector=connector))
    padded = "applicant_commune_code PADDED LEADING_ZEROS_LOST"
    assert [one for one in said(again) if one[0] in ("H25-2", "H25-3")][:2] == [
        ("H25-2", 1990, "02635", padded),
        ("H25-3", None, "02635", "applicant_birth_year DROPPED OUT_OF_RANGE"),
    ]
    versions = {event["dossier_code"]: event["source_version"] for event in first}
    later = {event["dossier_code"]: event["source_version"] for event in again}
    assert later["H25-2"] == versions["H25-2"] + 1, "the same version with other content would be refused"
    assert later["H25-3"] == versions["H25-3"], "and what reads as before is the same event"
    assert counts.dropped >= 1, "rows of an overlap are met twice"
    left = shown_rejects(source.context(PADDED, connector=connector))
    assert [dict(one.key or {})["id"] for one in left] == ["3"]


def test_row_whose_value_was_mended_in_the_source_is_whole_again(source: Source) -> None:
    source.fill(GOOD, BAD_YEAR)
    source.published(source.context())
    source.run("UPDATE don SET nam = '1997', ban = 2, luc = '2025-08-02 08:00:00' WHERE id = 2")
    events, counts = source.published(source.context())
    assert ("H25-2", 1997, "02635", None) in said(events)
    assert counts.dropped == 0
    assert shown_rejects(source.context()) == []


def test_check_of_all_rows_sums_up_what_is_dropped_and_padded_by_field_and_reason(source: Source) -> None:
    source.fill(GOOD, BAD_YEAR, ("'98'", "'2635'"), ("'1990'", "'263'"))
    context = source.context(PADDED)
    checking = StreamCheck(context, context.declaration.streams[0])
    assert sum(len(records) for records in checking.records()) == 4
    report = checking.report.as_json()
    assert (report["rows"], report["events"], report["rejects"]) == (4, 4, [])
    counts = {(one["field"], one["done"], one["why"]): one["count"] for one in report["doubtful"]}
    assert counts == {
        ("applicant_birth_year", "DROPPED", "OUT_OF_RANGE"): 2,
        ("applicant_commune_code", "PADDED", "LEADING_ZEROS_LOST"): 2,
    }
    examples = next(one["examples"] for one in report["doubtful"] if one["done"] == "DROPPED")
    assert examples == [{"key": {"id": str(number)}, "values": {"nam": "•••"}} for number in (2, 3)]
    assert checking.report.always_dropped() == []


def test_check_says_when_a_field_is_dropped_of_every_row(source: Source) -> None:
    source.fill(SHORT_CODE, SHORT_CODE)
    context = source.context()
    checking = StreamCheck(context, context.declaration.streams[0])
    list(checking.records())
    assert [str(note) for note in checking.report.always_dropped()] == [
        "applicant_commune_code DROPPED LEADING_ZEROS_LOST"
    ]
