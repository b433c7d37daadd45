"""What a way of reading cannot see is said before it is missed."""

import sqlite3
from pathlib import Path

import pytest

from connectors.access.source import SourceTable
from connectors.checks.sight import unseen
from connectors.declared.load import parse_declaration
from connectors.opening import open_context

DECLARATION = """
[source]
code = "small.office"
agency = "H25.1"
unit_scheme = "GSO_2025"
url = "sqlite:///{folder}/source.db"
overlap_s = 45
[[stream]]
name = "progress"
connector = "{kind}"
subject = "dossier.progressed"
table = "ho_so"
key = ["id"]
version = "ban"
changed_at = "luc"
late_rows = "{late}"
{where}
[stream.fields]
dossier_code = "ma"
status = "tt"
"""
GONE = "deleted rows, the old key of a row whose key changes"


@pytest.mark.parametrize(
    ("kind", "late", "where", "expected"),
    [
        ("table", "horizon", "", [f"{GONE}: found by `hub connect compare`"]),
        ("table", "horizon", "where = { ma = 'A' }", [f"{GONE}, rows that leave `where` (ma): found by `hub connect"]),
        (
            "table",
            "overlap",
            "",
            [f"{GONE}: found by", "rows whose luc is more than 45 s older than the latest one read"],
        ),
        ("outbox", "horizon", "", ["changes that the source does not write into the outbox"]),
        ("outbox", "overlap", "", ["changes that the source does not write", "rows whose luc is more than 45 s older"]),
    ],
)
def test_check_says_what_a_stream_does_not_see(
    tmp_path: Path, kind: str, late: str, where: str, expected: list[str]
) -> None:
    with sqlite3.connect(tmp_path / "source.db") as connection:
        connection.execute("CREATE TABLE ho_so (id INTEGER PRIMARY KEY, ma TEXT, ban INT, luc TIMESTAMP, tt TEXT)")
    connection.close()
    text = DECLARATION.format(folder=tmp_path, kind=kind, late=late, where=where)
    context = open_context(parse_declaration(text.encode()), "a secret of the tests", {})
    told = unseen(context.declaration, SourceTable(context.engine, context.declaration.streams[0]))
    assert [text[: len(start)] for text, start in zip(told, expected, strict=True)] == expected
