"""``hub connect check`` names the words of a column that no word table has, with what may have been meant."""

import unicodedata
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.checks.check import sample
from connectors.checks.every_row import StreamCheck
from connectors.declared.load import parse_declaration
from connectors.opening import open_context
from connectors.streams.context import Context

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.words"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
[words.status]
"Mới" = "REGISTERED"
"Đang giải quyết" = "IN_PROCESS"
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
operation = { column = "thao_tac", words = { "S" = "UPDATE" } }
[stream.fields]
dossier_code = "ma"
status = { column = "tt", words = "status" }
return_method = "cach"
step_name = { column = "buoc", words = { "Tiếp nhận" = "Tiếp nhận" } }
"""
ROWS = [
    ("Mới", "DIRECT", "S", "Tiếp nhận"),
    (" Đang giải quyết ", "DIRECT", "S", "tiếp nhận"),
    (unicodedata.normalize("NFD", "Đang giải quyết"), "Direct", "S", None),  # decomposed letters are the same word
    ("ĐANG GIẢI QUYẾT", "DIRECT", "S", None),
    ("ĐANG GIẢI QUYẾT", "DIRECT", "S", None),
    ("Đang  giải quyết", "DIRECT", "U", None),
    ("Rút", "DIRECT", "S", ""),
]


@pytest.fixture(params=["postgresql", "sqlite"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Context:
    """A source with words that stand in no table, on a database of each kind."""
    url = f"sqlite:///{tmp_path / 'source.db'}"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("database_url"))
    with create_engine(url, poolclass=NullPool).begin() as connection:
        columns = "ma varchar(9) PRIMARY KEY, ban int, luc timestamp, tt text, cach text, thao_tac text, buoc text"
        connection.execute(text(f"CREATE TABLE ho_so ({columns})"))
        for number, (status, method, operation, step) in enumerate(ROWS):
            connection.execute(
                text("INSERT INTO ho_so VALUES (:ma, 1, '2025-06-01 08:00:00', :tt, :cach, :thao_tac, :buoc)"),
                {"ma": str(number), "tt": status, "cach": method, "thao_tac": operation, "buoc": step},
            )
    declared = parse_declaration(DECLARATION.encode())
    return open_context(declared, "a secret of the tests", {"SOURCE_URL": url})


EXPECTED = {
    "status: 'ĐANG GIẢI QUYẾT' is in no word table, 2 rows: it becomes UNKNOWN and is kept in raw_status; "
    "did you mean 'Đang giải quyết'?",
    "status: 'Đang  giải quyết' is in no word table, 1 row: it becomes UNKNOWN and is kept in raw_status; "
    "did you mean 'Đang giải quyết'?",
    "status: 'Rút' is in no word table, 1 row: it becomes UNKNOWN and is kept in raw_status",
    "return_method: 'Direct' is none of the schema's words, 1 row: such a row is a reject, UNMAPPED_WORD; "
    "did you mean 'DIRECT'?",
    "step_name: 'tiếp nhận' is in no word table, 1 row: such a row is a reject, UNMAPPED_WORD; "
    "did you mean 'Tiếp nhận'?",
    "operation: 'U' is in no word table, 1 row: such a row is a reject, UNMAPPED_WORD",
}


def test_words_that_no_table_has_are_named_with_near_ones(context: Context) -> None:
    warnings = sample(context, context.declaration.streams[0]).warnings
    assert {one for one in warnings if "is in no" in one or "is none of" in one} == EXPECTED


def test_all_rows_are_looked_at_for_words_where_all_are_mapped(context: Context) -> None:
    (stream,) = context.declaration.streams
    assert not [one for one in sample(context, stream, looks_at_words=False).warnings if "word table" in one]
    checking = StreamCheck(context, stream)
    for _ in checking.records():
        pass
    assert set(checking.words()) == EXPECTED


def test_column_of_many_words_is_none_of_words_and_shows_none(context: Context) -> None:
    with context.engine.begin() as connection:
        for number in range(60):
            connection.execute(
                text("INSERT INTO ho_so VALUES (:ma, 1, '2025-06-01 08:00:00', :tt, 'DIRECT', 'S', NULL)"),
                {"ma": f"n{number}", "tt": f"Nguyễn Văn {number}"},
            )
    warnings = sample(context, context.declaration.streams[0]).warnings
    (told,) = [one for one in warnings if one.startswith("status: ")]
    assert told == (
        "status: 63 different words are in no word table, 64 rows: is it the right column? "
        "They become UNKNOWN and are kept in raw_status"
    )
    assert "Nguyễn" not in told
