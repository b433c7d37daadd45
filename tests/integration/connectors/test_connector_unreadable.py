"""Rows that the source's database itself cannot read: set aside one by one, with a reason; their neighbours go on."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.checks.every_row import StreamCheck
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.streams.comparing import ComparedStreams
from connectors.streams.context import Context
from connectors.streams.rejected import shown_rejects
from connectors.testing import catch_up
from hub.model.errors import ConfigError

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.unreadable"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 4
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
RESULTS = 'results = { child = "kq", on = { ho = "ma" }, items = { name = "ten" } }'
WORDS = 'procedure_code = {{ column = "tt", words = {{ "1" = "1.000001"{words} }} }}'
PEOPLE = [f"U-{number:02}" for number in range(11)]
BAD = {"U-00", "U-05", "U-10"}
VIRTUAL = (
    "CREATE TABLE ho_so (ma text PRIMARY KEY, ban int DEFAULT 1, luc timestamp DEFAULT '2025-06-01 08:00:00', so int,"
    " tt text GENERATED ALWAYS AS (CAST(1 / so AS text)) VIRTUAL)"
)
JSON = (
    "CREATE TABLE goc (ma TEXT PRIMARY KEY NOT NULL, ban int DEFAULT 1, luc timestamp DEFAULT '2025-06-01 08:00:00',"
    " so text)",
    "CREATE VIEW ho_so AS SELECT ma, ban, luc, json_extract(so, '$.a') AS tt FROM goc",
)


class Source:
    """A table ``ho_so`` and its connector."""

    def __init__(self, url: str, folder: Path, more: str = "", fields: str = "") -> None:
        self.url, self._folder = url, folder
        self._said = {"more": more, "fields": fields}
        self._engine = create_engine(url, poolclass=NullPool)

    def run(self, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        for statement in statements:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(statement)

    def context(self) -> Context:
        """Open the source as a fresh process would."""
        told = DECLARATION.format(folder=self._folder, **self._said)
        return open_context(parse_declaration(told.encode()), "a secret of the tests", {"SOURCE_URL": self.url})

    def read(self) -> set[str]:
        """Return the codes that a run publishes."""
        return {event["dossier_code"] for event in catch_up(connectors_of(self.context())[0]).events()}

    def rejects(self) -> dict[str, int]:
        """Return the rejects by reason."""
        context = self.context()
        with closing(context.state):
            return context.state.summary()[0].rejects


def _fill(source: Source, good: str, bad: str, table: str = "ho_so") -> None:
    for code in PEOPLE:
        source.run(f"INSERT INTO {table} (ma, so) VALUES ('{code}', {bad if code in BAD else good})")


@pytest.mark.parametrize("more", ["", OVERLAP])
def test_rows_that_postgresql_cannot_read_are_rejects_and_their_neighbours_are_published(
    database_url: str, tmp_path: Path, more: str
) -> None:
    source = Source(database_url, tmp_path, more)
    source.run(VIRTUAL)
    _fill(source, "1", "0")
    assert source.read() == set(PEOPLE) - BAD
    assert source.rejects() == {"SOURCE_CANNOT_READ": 3}
    source.run("UPDATE ho_so SET ban = 2, luc = '2025-06-01 09:00:00', so = CASE ma WHEN 'U-03' THEN 0 ELSE so END")
    assert source.read() == set(PEOPLE) - BAD - {"U-03"}
    assert source.rejects() == {"SOURCE_CANNOT_READ": 4}
    source.run("UPDATE ho_so SET ban = 3, luc = '2025-06-01 10:00:00', so = 1 WHERE so = 0")
    assert BAD | {"U-03"} <= source.read()
    assert source.rejects() == {}


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_rejects_that_cannot_be_read_are_shown_summed_up_and_read_again(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    is_sqlite = database == "sqlite"
    url = f"sqlite:///{tmp_path / 'source.db'}" if is_sqlite else request.getfixturevalue("database_url")
    good, unmapped, bad = ("'{\"a\": 1}'", "'{\"a\": -1}'", "'{'") if is_sqlite else ("1", "-1", "0")
    source = Source(url, tmp_path, fields=WORDS.format(words=""))
    source.run(*(JSON if is_sqlite else (VIRTUAL,)))
    _fill(source, good, bad, table := "goc" if is_sqlite else "ho_so")
    source.run(f"INSERT INTO {table} (ma, so) VALUES ('U-11', {unmapped})")
    assert source.read() == set(PEOPLE) - BAD
    counts = {"SOURCE_CANNOT_READ": 3, "UNMAPPED_WORD": 1}
    assert source.rejects() == counts
    with closing(source.context()) as context:
        shown = {str((one.key or {})["ma"]): (one.reason, dict(one.values)) for one in shown_rejects(context)}
        checking = StreamCheck(context, context.declaration.streams[0])
        events = [record for page in checking.records() for record in page]
    failed: dict[str, tuple[str, dict[str, str | None]]] = {code: ("SOURCE_CANNOT_READ", {}) for code in BAD}
    assert shown == {**failed, "U-11": ("UNMAPPED_WORD", {"tt": "-1"})}
    assert (checking.report.rows, checking.report.events, len(events)) == (12, 8, 8)
    assert {reason: count for (reason, _), count in checking.report.rejects.items()} == counts
    later = Source(url, tmp_path, fields=WORDS.format(words=', "-1" = "1.000002"'))
    assert "U-11" in later.read()
    assert later.rejects() == {"SOURCE_CANNOT_READ": 3}


def test_rows_that_sqlite_cannot_read_are_rejects_and_their_neighbours_are_published(tmp_path: Path) -> None:
    source = Source(f"sqlite:///{tmp_path / 'source.db'}", tmp_path)
    source.run(*JSON)
    _fill(source, '\'{"a": "1"}\'', "'{'", "goc")
    assert source.read() == set(PEOPLE) - BAD
    assert source.rejects() == {"SOURCE_CANNOT_READ": 3}
    source.run("UPDATE goc SET ban = 2, luc = '2025-06-01 09:00:00', so = '{\"a\": 1}'")
    assert source.read() == set(PEOPLE)
    assert source.rejects() == {}


def test_rows_that_mariadb_cannot_read_are_rejects_and_their_neighbours_are_published(
    mariadb_url: str, tmp_path: Path
) -> None:
    source = Source(mariadb_url, tmp_path)
    source.run(
        "CREATE TABLE goc (ma varchar(20) PRIMARY KEY, ban int DEFAULT 1, luc datetime DEFAULT '2025-06-01 08:00:00',"
        " so bigint)",
        "CREATE VIEW ho_so AS SELECT ma, ban, luc, so, CAST(9223372036854775806 + so AS char) AS chu,"
        " '1' AS tt FROM goc",
    )
    source.run(*(f"INSERT INTO goc (ma, so) VALUES ('{code}', {5 if code in BAD else 1})" for code in PEOPLE))
    own = Source(mariadb_url, tmp_path, fields='procedure_code = "chu"')
    assert own.read() == set(PEOPLE) - BAD
    assert own.rejects() == {"SOURCE_CANNOT_READ": 3}


@pytest.mark.parametrize(
    ("expression", "bad"),
    [
        ("(SELECT tt FROM cu WHERE cu.ma = goc.ma)", "INSERT INTO cu VALUES ('U-05', '1')"),
        ("CAST(CASE ma WHEN 'U-05' THEN '' ELSE '1' END AS khong_rong)", "SELECT 1"),
        ("CASE ma WHEN 'U-05' THEN repeat('[', 15000 * length(ma))::json::text ELSE '1' END", "SELECT 1"),
    ],
)
def test_error_of_any_class_that_is_about_a_row_sets_that_row_aside(
    database_url: str, tmp_path: Path, expression: str, bad: str
) -> None:
    source = Source(database_url, tmp_path, OVERLAP)
    source.run(
        "CREATE DOMAIN khong_rong AS text CHECK (VALUE <> '')",
        "CREATE TABLE goc (ma text PRIMARY KEY, ban int DEFAULT 1, luc timestamp DEFAULT '2025-06-01 08:00:00')",
        "CREATE TABLE cu (ma text, tt text)",
        f"CREATE VIEW ho_so AS SELECT ma, ban, luc, {expression} AS tt FROM goc",
        *(f"INSERT INTO goc (ma) VALUES ('{code}')" for code in PEOPLE),
        *(f"INSERT INTO cu VALUES ('{code}', '1')" for code in PEOPLE),
        bad,
    )
    assert source.read() == set(PEOPLE) - {"U-05"}
    assert source.rejects() == {"SOURCE_CANNOT_READ": 1}


def test_child_row_that_cannot_be_read_sets_its_parent_aside(database_url: str, tmp_path: Path) -> None:
    source = Source(database_url, tmp_path, fields=RESULTS)
    source.run(
        VIRTUAL,
        "CREATE TABLE kq (ho text, so int, ten text GENERATED ALWAYS AS (CAST(1 / so AS text)) VIRTUAL)",
        "INSERT INTO kq VALUES ('U-04', 1), ('U-05', 0)",
        "INSERT INTO ho_so (ma, so) VALUES ('U-04', 1), ('U-05', 1), ('U-06', 1)",
    )
    assert source.read() == {"U-04", "U-06"}
    assert source.rejects() == {"SOURCE_CANNOT_READ": 1}


def test_row_whose_key_cannot_be_read_ends_the_run_with_what_to_do(database_url: str, tmp_path: Path) -> None:
    source = Source(database_url, tmp_path, OVERLAP)
    source.run(
        "CREATE TABLE goc (so int, ban int DEFAULT 1, luc timestamp DEFAULT '2025-06-01 08:00:00',"
        " tt text DEFAULT '1')",
        "CREATE VIEW ho_so AS SELECT CAST(1 / so AS text) AS ma, ban, luc, tt FROM goc",
        "INSERT INTO goc (so) VALUES (1)",
    )
    context = source.context()
    connector = connectors_of(context)[0]
    connector.stored()
    source.run("INSERT INTO goc (so) VALUES (0)")
    with pytest.raises(ConfigError, match=r"even its key \(ma\) cannot be read"):
        catch_up(connector)


@pytest.mark.parametrize("more", ["", OVERLAP])
def test_comparison_names_the_row_that_cannot_be_read_and_reads_all_others(
    database_url: str, tmp_path: Path, more: str
) -> None:
    source = Source(database_url, tmp_path, more)
    source.run(VIRTUAL)
    _fill(source, "1", "0")
    streams = ComparedStreams(source.context(), "dossier.progressed")
    streams.begin()
    pages: list[Any] = list(streams.rows())
    assert sum(len(page.records) for page in pages) == len(PEOPLE) - len(BAD)
    unmapped = [one for page in pages for one in page.unmapped]
    assert [one.reason for one in unmapped] == ["SOURCE_CANNOT_READ"] * 3
    assert all(one.key is not None for one in unmapped)


def test_check_says_that_the_first_row_cannot_be_read(database_url: str, tmp_path: Path) -> None:
    from connectors.checks.check import sample

    source = Source(database_url, tmp_path)
    source.run(VIRTUAL)
    _fill(source, "1", "0")
    context = source.context()
    shown = sample(context, context.declaration.streams[0])
    assert str(shown.problem).startswith("SOURCE_CANNOT_READ")
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM ho_so")).scalar() == len(PEOPLE)


def test_check_warns_of_rows_that_a_policy_hides_from_the_reader(database_url: str, tmp_path: Path) -> None:
    from connectors.access.source import SourceTable
    from connectors.checks.row_security import hidden_rows

    source = Source(database_url, tmp_path)
    role = f"reader_{database_url.rsplit('_', 1)[-1]}"
    source.run(
        "CREATE TABLE ho_so (ma text PRIMARY KEY, ban int, luc timestamptz, tt text)",
        f"CREATE ROLE {role} LOGIN PASSWORD 'only for this test'",
        f"GRANT SELECT ON ho_so TO {role}",
        "INSERT INTO ho_so VALUES ('one', 1, '2025-06-01', '1')",
    )
    url = create_engine(database_url).url.set(username=role, password="only for this test")  # noqa: S106 - of this test
    reader = Source(url.render_as_string(hide_password=False), tmp_path)

    def warnings() -> list[str]:
        context = reader.context()
        return list(hidden_rows(SourceTable(context.engine, context.declaration.streams[0])))

    try:
        assert warnings() == []
        source.run("ALTER TABLE ho_so ENABLE ROW LEVEL SECURITY")
        (warning,) = warnings()
        assert "row-level security of ho_so" in warning
        assert f"ALTER ROLE {role} BYPASSRLS" in warning
        source.run(f"ALTER ROLE {role} BYPASSRLS")
        assert warnings() == []
        source.run(f"ALTER ROLE {role} NOBYPASSRLS", f"ALTER TABLE ho_so OWNER TO {role}")
        assert warnings() == []
        source.run("ALTER TABLE ho_so FORCE ROW LEVEL SECURITY")
        assert len(warnings()) == 1
    finally:
        source.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
