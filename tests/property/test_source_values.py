"""No value that a database can hold ends a connector, hangs it or loses a neighbour.

Every type of column of PostgreSQL, SQLite and MariaDB, with extremes and with drawn values, is read as a connector
reads it and mapped into every kind of field that a declaration can fill. ``source_oracle`` reckons the same without a
line of the connectors. A row that becomes neither an event with the right value nor a reject with a reason fails.
"""

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from connectors.access.source import SourceTable
from connectors.base.reasons import RejectReason, Unmappable
from connectors.checks.check import problems
from connectors.conversion.columns import ColumnEncoder
from connectors.conversion.mapping import RowMapper
from connectors.conversion.rows import record_of_row
from connectors.conversion.values import converter
from connectors.declared.declaration import FieldRule
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, run
from connectors.streams.context import Context
from connectors.testing import QUICK, MemoryPublisher
from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.codec.fields import DataClass, FieldKind, FieldSpec
from tests.conftest import RunningEngine
from tests.property import source_oracle as oracle
from tests.property.source_oracle import NONE, NUMBERS, Meaning, Refused
from tests.property.source_types import POSTGRESQL_TYPES, Kind, postgresql, sqlite
from tests.property.source_types import mariadb as mariadb_types
from tests.support.mariadb import RunningMariaDB

pytestmark = pytest.mark.engine

SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "100"))
HANG_S = 60
"""For one page of rows in one kind of field: seconds beyond all doubt."""

SECRET = "a secret of the tests only"  # noqa: S105 - protects nothing
NOW = datetime(2025, 7, 1, tzinfo=UTC)
MET: list[int] = []
"""How many values were mapped, by page."""
HEAD = """
[source]
code = "test.values"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 10
[[stream]]
name = "{name}"
subject = "{subject}"
connector = "table"
table = "{table}"
key = {key}
strict = {strict}
"""
PROGRESS = 'version = "ban"\nchanged_at = "luc"\n{more}\n[stream.fields]\ndossier_code = "id"\n{fields}\n'
REGISTERED = 'status = { constant = "REGISTERED" }\n'
FILING = 'procedure_code = { constant = "1.001193" }\n'
PERSON = 'pin = { constant = "000299000123" }\nfull_name = { constant = "An" }\n'
FORMAT = 'number = { thousands = ".", decimal = "," }'


@dataclass(frozen=True)
class Filled:
    """A kind of field that a declaration can fill: how it is declared, what to look at, what that must be."""

    declared: str
    fields: tuple[str, ...]
    expected: Any
    subject: str = "dossier.progressed"


def _field(rule: str, field: str, expected: Any) -> Filled:
    return Filled(PROGRESS.format(more="", fields=f"{REGISTERED}{field} = {rule}"), (field,), expected)


def _filing(rule: str, field: str, expected: Any) -> Filled:
    return Filled(PROGRESS.format(more="", fields=f"{FILING}{field} = {rule}"), (field,), expected, "dossier.submitted")


def _person(rule: str, field: str, expected: Any) -> Filled:
    said = PROGRESS.format(more="", fields="").replace('dossier_code = "id"\n', f"{PERSON}{field} = {rule}")
    return Filled(said, (field,), expected, "citizen.changed")


FILLED = {
    "text": _field('"x"', "step_note", oracle.text),
    "number": _filing('"x"', "total_fee_vnd", oracle.whole),
    "thousands": _filing(f'{{ column = "x", {FORMAT} }}', "total_fee_vnd", oracle.thousands),
    "moment": _field('"x"', "due_at", oracle.moment),
    "format": _field('{ column = "x", formats = ["%d/%m/%Y"] }', "due_at", oracle.in_format),
    "boolean": _field('"x"', "on_time", oracle.boolean),
    "items": _field('{ column = "x", items = { reason = "ly_do", new_due_at = "moi" } }', "due_history", oracle.items),
    "date": _person('"x"', "civil_status_doc_date", oracle.day),
    "part": _person('{ column = "x", part = "year" }', "birth_year", oracle.year),
    "words": Filled(
        PROGRESS.format(more="", fields='status = { column = "x", words = { "1" = "REGISTERED", Y = "ACCEPTED" } }'),
        ("status", "raw_status"),
        oracle.word,
    ),
    "payload": Filled(
        PROGRESS.format(more='payload = "x"', fields=f'{FILING}total_fee_vnd = "so"').replace('"id"', '"ma"'),
        ("dossier_code", "total_fee_vnd"),
        oracle.payload,
        "dossier.submitted",
    ),
    "version": Filled(
        PROGRESS.format(more="", fields=REGISTERED).replace('"ban"', '"x"'), ("source_version",), oracle.version
    ),
    "changed_at": Filled(
        PROGRESS.format(more="", fields=REGISTERED).replace('"luc"', '"x"'), ("occurred_at",), oracle.changed_at
    ),
    "deleted": Filled(PROGRESS.format(more='deleted = "x"', fields=REGISTERED), ("operation",), oracle.deleted),
    "declared deleted": Filled(
        PROGRESS.format(more='deleted = { column = "x", values = ["Y", "xóa"] }', fields=REGISTERED),
        ("operation",),
        oracle.declared_deleted,
    ),
}


@contextmanager
def _limit(what: str) -> Iterator[None]:
    """Fail when a page takes as long as only a hang does."""

    def stop(*_: object) -> None:
        raise AssertionError(f"{what}: no end in sight")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class World:
    """One database with one table per type."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = create_engine(url, poolclass=NullPool)
        self.dialect = self.engine.dialect.name
        self._made: set[str] = set()

    def fill(self, kind: Kind, said: Sequence[tuple[Any, Meaning | None]]) -> dict[int, Meaning]:
        """Write values into the type's table; return what those mean that the database took, by the row's id."""
        with self.engine.connect() as connection:
            session = {"mysql": "SET sql_mode = ''", "postgresql": "SET intervalstyle TO 'iso_8601'"}.get(self.dialect)
            if session is not None:
                connection.execute(text(session))
            self._make(connection, kind)
            given = {}
            for number, (value, meaning) in enumerate(said):
                if self._insert(connection, kind, number, value):
                    given[number] = NONE if value is None else meaning
            connection.commit()
            found = self._meanings(connection, kind, given)
        return found

    def _make(self, connection: Connection, kind: Kind) -> None:
        table = f"t_{kind.name}"
        if table in self._made:
            connection.execute(text(f"DELETE FROM {table}"))
            return
        time = "timestamptz" if self.dialect == "postgresql" else "DATETIME"
        columns = f"id int PRIMARY KEY, ban int, luc {time}, x {kind.ddl}"
        connection.execute(text(f"CREATE TABLE {table} ({columns})"))
        self._made.add(table)

    def _insert(self, connection: Connection, kind: Kind, number: int, value: Any) -> bool:
        place = {"postgresql": f"CAST(CAST(:x AS text) AS {kind.ddl.split(' COLLATE')[0]})"}.get(self.dialect, ":x")
        if isinstance(value, list):
            place, value = "CAST(:x AS TEXT)", value[0]
        statement = f"INSERT INTO t_{kind.name} VALUES (:id, 1, '2025-07-01 00:00:00', {place})"
        try:
            with connection.begin_nested():
                connection.execute(text(statement), {"id": number, "x": value})
        except (DBAPIError, OverflowError):
            return False  # the database does not hold such a value
        return True

    def _meanings(self, connection: Connection, kind: Kind, given: dict[int, Meaning | None]) -> dict[int, Meaning]:
        if kind.read == "given":
            return {number: meaning for number, meaning in given.items() if meaning is not None}
        rows = connection.execute(text(f"SELECT id, {self._printed(kind)} FROM t_{kind.name}"))
        return {row[0]: self._meaning(kind, *row[1:]) for row in rows}

    def _printed(self, kind: Kind) -> str:
        """Return what asks the database itself what it holds."""
        if self.dialect == "postgresql":
            return "CASE WHEN num_nulls(x) = 0 THEN format('%s', x) END"
        if self.dialect == "sqlite":
            return "hex(x), typeof(x), CASE typeof(x) WHEN 'real' THEN x END"
        if kind.read == "blob":
            return "HEX(x)"
        if kind.read == "single":
            return "HEX(CONCAT(x + 0e0))"
        return "HEX(CONCAT(x + 0))" if "BIT" in kind.ddl else "HEX(CONVERT(CONCAT(x) USING utf8mb4))"

    def _meaning(self, kind: Kind, printed: str | None, storage: str = "", real: float | None = None) -> Meaning:
        if storage == "null" or printed is None:
            return NONE
        if real is not None:
            return Meaning("float", Decimal(repr(real)))
        if self.dialect != "postgresql":
            raw = bytes.fromhex(printed)
            printed = raw.decode("utf-8", "surrogateescape")
            if kind.read == "blob" or storage == "blob":
                return Meaning("blob", raw)
        if kind.read == "single":
            return Meaning("single", Decimal(_shortest(float(printed))))
        if kind.read == "bits":
            return Meaning("bits", printed)
        if kind.read in NUMBERS or storage == "integer":
            return Meaning("num" if storage else kind.read, Decimal(printed))
        if kind.read == "bool":
            return Meaning("bool", printed == "t")
        return _time(printed) if kind.read == "time" else Meaning("text", printed)


def _shortest(number: float) -> str:
    """Return the shortest text of a number in single precision, as another library writes it."""
    return str(pyarrow.array([number], pyarrow.float32()).cast(pyarrow.string())[0].as_py())


def _time(printed: str) -> Meaning:
    try:
        return (
            Meaning("day", date.fromisoformat(printed))
            if len(printed) == 10
            else Meaning("moment", datetime.fromisoformat(printed))
        )
    except ValueError:
        return Meaning("text", printed)


def _context(world: World, kind: Kind, name: str, key: str) -> Context:
    filled = FILLED["text"]
    head = HEAD.format(name=name, subject=filled.subject, table=f"t_{kind.name}", key=key, strict="true")
    return open_context(parse_declaration((head + filled.declared).encode()), SECRET, {"SOURCE_URL": world.url})


@dataclass(frozen=True)
class Compiled:
    """A kind of field, ready to map rows of any type's table."""

    mapper: RowMapper
    encoder: Encoder
    columns: ColumnEncoder


@cache
def _compiled(name: str, strict: bool) -> Compiled:
    filled = FILLED[name]
    head = HEAD.format(name="s", subject=filled.subject, table="t", key='["id"]', strict=str(strict).lower())
    declaration = parse_declaration((head + filled.declared).encode())
    assert problems(declaration, load_catalogue()) == []
    version = load_catalogue().latest(filled.subject)
    mapper, encoder = RowMapper(declaration, declaration.streams[0], version, SECRET), Encoder(filled.subject, SECRET)
    return Compiled(mapper, encoder, ColumnEncoder(mapper, encoder))


def _rows(world: World, kind: Kind) -> list[dict[str, Any]]:
    """Read the type's rows as a connector does."""
    context = _context(world, kind, "rows", '["id"]')
    with _limit(f"reading {kind.name}"):
        table = SourceTable(context.engine, context.declaration.streams[0])
        with table.engine.connect() as connection:
            found = [row._asdict() for row in connection.execute(table.rows().order_by(*table.key))]
    context.engine.dispose()
    return found


def _check_page(
    kind: Kind, name: str, rows: Sequence[dict[str, Any]], meanings: dict[int, Meaning], strict: bool
) -> None:
    """Map the type's rows into one kind of field, of a stream that rejects or of one that drops what is wrong."""
    compiled, filled = _compiled(name, strict), FILLED[name]
    given = [tuple(row[column] for column in compiled.mapper.columns) for row in rows]
    with _limit(f"{kind.name} as {name}"):
        page = compiled.columns.encode(given, NOW).records
        for row, one, record in zip(rows, given, page, strict=True):
            said, doubtful = _said(compiled.mapper, compiled.encoder, filled, one, record)
            meaning = meanings[row["id"]]
            is_right = not doubtful and _is_right(said, filled, meaning)
            is_dropped = not strict and bool(doubtful) and _is_refused(filled, meaning) and None in said
            assert is_right or is_dropped, (kind.name, name, meaning, said, doubtful)


def _said(mapper: RowMapper, encoder: Encoder, filled: Filled, row: Any, record: Any) -> tuple[Any, str]:
    """Return what became of a row: the values looked at, or the reason; a page says the same as the row alone.

    Beside it what the event says of values that were dropped.
    """
    try:
        alone, _, doubtful = record_of_row(mapper, encoder, row, NOW)
    except Unmappable as problem:
        assert record is None
        return problem.reason, ""
    assert record in (None, alone)
    event = mapper.event(row, NOW)
    values = tuple(event.get(field) for field in filled.fields)
    if ".reason DROPPED" in doubtful or ".new_due_at DROPPED" in doubtful:
        return (None,), doubtful
    return values, doubtful


def _is_refused(filled: Filled, meaning: Meaning) -> bool:
    try:
        filled.expected(meaning)
    except Refused:
        return True
    return False


def _is_right(said: Any, filled: Filled, meaning: Meaning) -> bool:
    try:
        expected = filled.expected(meaning)
    except Refused:
        return isinstance(said, RejectReason) and said is not RejectReason.BAD_VALUE
    expected = expected if isinstance(expected, tuple) else (expected,)
    return isinstance(said, tuple) and all(
        want is oracle.Anything
        or (found == want and type(found) is type(want))
        or (isinstance(want, datetime) and found == want)
        for found, want in zip(said, expected, strict=True)
    )


def _check_double(kind: Kind, rows: Sequence[dict[str, Any]], meanings: dict[int, Meaning]) -> None:
    """As above, for doubles: no schema has one yet."""
    spec = FieldSpec("x", FieldKind.DOUBLE, True, DataClass.PUBLIC, "", "")
    convert = converter(FieldRule("x", columns=("x",)), spec, UTC)
    filled = Filled("", ("x",), oracle.double)
    for row in rows:
        try:
            said: Any = (convert(row["x"]),)
        except Unmappable as problem:
            said = problem.reason
        assert _is_right(said, filled, meanings[row["id"]]), (kind.name, "double", meanings[row["id"]], said)


def _check_connector(world: World, kind: Kind, meanings: dict[int, Meaning], log: pytest.LogCaptureFixture) -> None:
    """Run the connector itself over the type's table, paged by the value, and meet every row."""
    key = '["x", "id"]' if kind.has_order else '["id"]'
    with world.engine.begin() as connection:
        connection.execute(text(f"DELETE FROM t_{kind.name} WHERE x IS NULL"))
        there = set(connection.execute(text(f"SELECT id FROM t_{kind.name}")).scalars())
    context = _context(world, kind, f"run {kind.name}", key)
    publisher, log_before = MemoryPublisher(), len(log.records)
    with _limit(f"the connector of {kind.name}"):
        (counts,) = run(connectors_of(context), publisher, RunOptions(once=True, policy=QUICK))
    expected = {number for number in there if _is_text(meanings[number])}
    assert {int(event["dossier_code"]) for event in publisher.events()} == expected, kind.name
    assert counts.rejected == len(there) - len(expected), kind.name
    for record in log.records[log_before:]:
        assert record.exc_info is None
        assert not any(_tells(meaning, record.getMessage()) for meaning in meanings.values())


def _is_text(meaning: Meaning) -> bool:
    try:
        oracle.text(meaning)
    except Refused:
        return False
    return True


def _tells(meaning: Meaning, message: str) -> bool:
    return meaning.kind == "text" and len(meaning.value) > 8 and meaning.value in message


def _check(world: World, kind: Kind, drawn: Sequence[tuple[Any, Meaning | None]], log: Any = None) -> None:
    meanings = world.fill(kind, [*kind.extremes, *drawn])
    rows = _rows(world, kind)
    assert [row["id"] for row in rows] == sorted(meanings)
    for name in FILLED:
        for strict in (True, False):
            _check_page(kind, name, rows, meanings, strict)
    _check_double(kind, rows, meanings)
    if log is not None:
        _check_connector(world, kind, meanings, log)
    MET.append(len(rows) * (len(FILLED) + 1))


@pytest.fixture(scope="module")
def postgres(engine: RunningEngine) -> Iterator[World]:
    """PostgreSQL with a table for each of its types."""
    name = "test_source_values"
    world = World(engine.create_database(name))
    with world.engine.begin() as connection:
        for statement in POSTGRESQL_TYPES:
            connection.execute(text(statement))
    yield world
    engine.engine.drop_database(name)


@pytest.fixture(scope="module")
def maria(mariadb: RunningMariaDB) -> Iterator[World]:
    """MariaDB with a table for each of its types."""
    yield World(mariadb.create_database("test_source_values"))
    mariadb.drop_database("test_source_values")


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> World:
    """SQLite with a table for each affinity."""
    return World(f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'source.db'}")


WORLDS = [
    *(pytest.param("postgres", kind, id=f"postgresql-{kind.name}") for kind in postgresql()),
    *(pytest.param("lite", kind, id=kind.name) for kind in sqlite()),
    *(pytest.param("maria", kind, id=kind.name) for kind in mariadb_types()),
]
ONCE = settings(
    max_examples=1,
    suppress_health_check=list(HealthCheck),
    derandomize=False,
    database=None,
    phases=[Phase.generate],
)
AT_LENGTH = settings(max_examples=max(1, SOAK // 1000), suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("world", "kind"), WORLDS)
def test_every_value_becomes_an_event_or_a_reject(
    world: str, kind: Kind, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "connectors")
    there: World = request.getfixturevalue(world)

    @ONCE
    @given(st.lists(kind.others, min_size=10, max_size=20))
    def check(drawn: list[tuple[Any, Meaning | None]]) -> None:
        _check(there, kind, drawn, caplog)

    check()


@pytest.mark.soak
@pytest.mark.parametrize(("world", "kind"), WORLDS)
def test_every_value_at_length(world: str, kind: Kind, request: pytest.FixtureRequest) -> None:
    there: World = request.getfixturevalue(world)

    @AT_LENGTH
    @given(st.lists(kind.others, min_size=40, max_size=60))
    def check(drawn: list[tuple[Any, Meaning | None]]) -> None:
        _check(there, kind, drawn)

    check()


def test_citext_is_text(postgres: World, caplog: pytest.LogCaptureFixture) -> None:
    """PostgreSQL's own text without case where the server has it: the embedded one comes without contrib."""
    with postgres.engine.begin() as connection:
        has_citext = connection.execute(text("SELECT true FROM pg_available_extensions WHERE name = 'citext'")).scalar()
        if has_citext:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS citext"))
    (kind,) = (one for one in postgresql() if one.name == "collated")
    _check(postgres, replace(kind, name="citext", ddl="citext") if has_citext else kind, (), caplog)
