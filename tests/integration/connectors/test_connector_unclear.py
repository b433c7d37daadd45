"""``hub connect check`` and columns whose words must say yes or no: refused where a word says neither, never told."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.checks.check import sample
from connectors.declared.load import parse_declaration
from connectors.opening import open_context
from hub.model.errors import ConfigError

pytestmark = pytest.mark.engine

DECLARATION = """
[source]
code = "test.unclear"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
{deleted}
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
{on_time}
"""
DELETED, ON_TIME = 'deleted = "xoa"', 'on_time = "dung"'


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind, one after the other."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'source.db'}"
    return str(request.getfixturevalue("database_url"))


def _checked(url: str, deleted: str, on_time: str, *rows: str, kind: str = "text") -> str | None:
    """Check a table of rows (columns ``xoa`` and ``dung``); return the problem of the first row."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE ho_so (ma varchar(9) PRIMARY KEY, ban int, luc timestamp, tt text,"
                f" xoa {kind}, dung text)"
            )
        )
        for number, row in enumerate(rows):
            connection.execute(text(f"INSERT INTO ho_so VALUES ('{number}', 1, '2025-06-01 08:00:00', '1', {row})"))
    declared = parse_declaration(DECLARATION.format(deleted=deleted, on_time=on_time).encode())
    context = open_context(declared, "a secret of the tests", {"SOURCE_URL": url})
    return sample(context, declared.streams[0]).problem


def test_i8_words_that_are_neither_are_counted_and_named_by_their_column_alone(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _checked(url, DELETED, ON_TIME, "'Hủy', 'có'", "'Hủy', 'không'", "'Xóa', 'yes'", "NULL, NULL")
    deleted, on_time = caught.value.problems
    assert "column xoa holds 2 words that are neither true nor false" in deleted
    assert 'deleted = { column = "xoa", values = [' in deleted
    assert "column dung holds 2 words that are neither true nor false" in on_time
    assert 'on_time = { column = "dung", words = {' in on_time
    assert not any(word in str(caught.value) for word in ("Hủy", "Xóa", "có", "không"))


def test_closed_list_of_words_blanks_and_times_of_deletion_are_clear(url: str) -> None:
    rows = ("'1', 'TRUE'", "'no', ' off '", "'', 'f'", "NULL, NULL", "'2025-06-01 08:00:00', 'On'")
    assert _checked(url, DELETED, ON_TIME, *rows) is None


def test_time_is_clear_for_a_deletion_and_not_for_a_field(url: str) -> None:
    with pytest.raises(ConfigError, match="column dung holds 1 words"):
        _checked(url, DELETED, ON_TIME, "'2025-06-01', '2025-06-01'")


@pytest.mark.parametrize(
    ("deleted", "on_time"),
    [
        (
            'deleted = { column = "xoa", values = ["Hủy"], alive = ["có thể"] }',
            'on_time = { column = "dung", words = { "có" = true } }',
        ),
        ("", ""),
    ],
)
def test_declared_words_and_columns_that_are_not_read_are_not_looked_at(url: str, deleted: str, on_time: str) -> None:
    assert _checked(url, deleted, on_time, "'có thể', 'có'") is None


def test_words_of_deletion_that_are_not_declared_are_refused(url: str) -> None:
    declared = 'deleted = { column = "xoa", values = ["Hủy"] }'
    with pytest.raises(ConfigError) as caught:
        _checked(url, declared, "", "'Hủy', NULL", "'Xong', NULL", "'Chờ', NULL", "NULL, NULL", "'0', NULL")
    assert "column xoa holds 2 words that are not declared" in str(caught.value)
    assert "alive = [all other words]" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Hủy", "Xong", "Chờ"))


def test_words_declared_for_a_boolean_column_must_mean_yes_or_no(url: str) -> None:
    declared = 'deleted = { column = "xoa", values = ["Hủy"] }'
    with pytest.raises(ConfigError, match="column xoa is a boolean, and none of the declared values is"):
        _checked(url, declared, "", "true, NULL", kind="boolean")


def test_declared_one_is_clear_for_a_boolean_column(url: str) -> None:
    declared = 'deleted = { column = "xoa", values = ["1"] }'
    assert _checked(url, declared, "", "true, NULL", "false, NULL", "NULL, NULL", kind="boolean") is None


def test_table_without_rows_is_clear(url: str) -> None:
    assert _checked(url, DELETED, ON_TIME) is None


def test_only_so_many_words_are_looked_at(url: str) -> None:
    with pytest.raises(ConfigError, match="column dung holds 100 words"):
        _checked(url, "", ON_TIME, *(f"NULL, 'từ {number}'" for number in range(120)))
