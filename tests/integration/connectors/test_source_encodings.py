"""A source in another encoding than UTF-8: its text is read, a byte that is none of it refuses its row and no other."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from connectors.checks.check import sample
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, run
from connectors.streams.context import Context
from connectors.testing import QUICK, MemoryPublisher
from tests.conftest import RunningEngine

pytestmark = pytest.mark.engine

DECLARED = """
[source]
code = "test.encodings"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 1
[[stream]]
name = "s"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
[stream.fields]
dossier_code = "ma"
step_note = "ghi_chu"
status = { constant = "REGISTERED" }
"""


def context_of(url: str) -> Context:
    return open_context(parse_declaration(DECLARED.encode()), "a secret of the tests only", {"SOURCE_URL": url})


@pytest.fixture
def databases(engine: RunningEngine, unique: str) -> Iterator["Databases"]:
    made = Databases(engine.create_database(f"admin_{unique}"), unique)
    yield made
    made.drop()
    engine.engine.drop_database(f"admin_{unique}")


class Databases:
    """Makes databases in encodings of their own."""

    def __init__(self, admin: str, unique: str) -> None:
        self._admin = create_engine(admin, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._unique = unique
        self._made: list[str] = []

    def make(self, encoding: str) -> str:
        """Make one with the source's table, and return its URL."""
        name = f"enc_{encoding.lower()}_{self._unique}"
        with self._admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"))
        self._made.append(name)
        url = self._admin.url.set(database=name).render_as_string(hide_password=False)
        with create_engine(url, poolclass=NullPool, connect_args={"client_encoding": "utf8"}).begin() as connection:
            connection.execute(
                text(
                    "CREATE TABLE ho_so (ma text PRIMARY KEY, ban int DEFAULT 1,"
                    " luc timestamptz DEFAULT now(), ghi_chu text)"
                )
            )
        return url

    def drop(self) -> None:
        """Drop all of them."""
        with self._admin.connect() as connection:
            for name in self._made:
                connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _write(url: str, rows: dict[str, bytes], encoding: str) -> None:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, client_encoding=encoding) as connection:
        for key, note in rows.items():
            connection.execute(b"INSERT INTO ho_so (ma, ghi_chu) VALUES ('" + key.encode() + b"', '" + note + b"')")


@pytest.mark.parametrize(
    ("encoding", "rows", "expected", "dropped"),
    [
        (
            "SQL_ASCII",
            {"A-1": "Trần".encode(), "A-2": b"\xff\xfe", "A-3": b"abc"},
            {"A-1": "Trần", "A-2": None, "A-3": "abc"},
            1,
        ),
        ("LATIN1", {"A-1": b"caf\xe9", "A-2": b"abc"}, {"A-1": "café", "A-2": "abc"}, 0),
        (
            "WIN1258",
            {"A-1": b"\xd0\xf4ng", "A-2": b"\xd2x", "A-3": b"abc"},
            {"A-1": "Đông", "A-2": "\u0309x", "A-3": "abc"},
            0,
        ),
        ("WIN1252", {"A-1": b"\x80", "A-2": b"\x81x", "A-3": b"abc"}, {"A-1": "€", "A-2": None, "A-3": "abc"}, 1),
    ],
)
def test_text_is_read_in_the_encoding_of_its_database(
    databases: Databases, encoding: str, rows: dict[str, bytes], expected: dict[str, str | None], dropped: int
) -> None:
    url = databases.make(encoding)
    _write(url, rows, encoding)
    shown = context_of(url)
    assert sample(shown, shown.declaration.streams[0]).problem is None
    shown.engine.dispose()
    shown.state.close()
    publisher = MemoryPublisher()
    (counts,) = run(connectors_of(context_of(url)), publisher, RunOptions(once=True, policy=QUICK))
    assert {event["dossier_code"]: event["step_note"] for event in publisher.events()} == expected
    assert (counts.rejected, counts.dropped) == (0, dropped)
