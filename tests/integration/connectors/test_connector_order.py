"""The source's last state wins, whatever its clock, its ids or its version column say."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, run
from connectors.streams.sql import SqlConnector
from connectors.testing import QUICK, MemoryPublisher, catch_up

SECRET = "a secret of the tests only"  # noqa: S105 - protects nothing
HEAD = """
[source]
code = "test.source"
agency = "H25"
unit_scheme = "GSO_2025"
{where}
{more}
[[stream]]
name = "s"
"""
PEOPLE = """
connector = "{kind}"
subject = "citizen.changed"
table = "nguoi"
key = ["{key}"]
changed_at = "luc"
{more}
[stream.fields]
pin = "so"
full_name = "ten"
"""
IN_POSTGRES = 'url_env = "SOURCE_URL"'
PIN = "036800000131"


def _opened(declaration: str, url: str = "") -> SqlConnector:
    context = open_context(parse_declaration(declaration.encode()), SECRET, {"SOURCE_URL": url})
    return connectors_of(context)[0]


def _people(kind: str, key: str, more: str = "", source: str = "") -> str:
    return HEAD.format(where=IN_POSTGRES, more=source) + PEOPLE.format(kind=kind, key=key, more=more)


def _run(url: str, *statements: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _last(events: list[dict[str, Any]]) -> str:
    """Return the name that the hub would hold: of the highest version; two of one version are two contents."""
    newest = max(event["source_version"] for event in events)
    names = {event["full_name"] for event in events if event["source_version"] == newest}
    assert len(names) == 1, names
    return str(names.pop())


TABLE = "CREATE TABLE nguoi (so text PRIMARY KEY, ten text, luc timestamptz)"


def _in_sqlite(folder: Path) -> tuple[str, Callable[..., None]]:
    where = f'url = "sqlite:///{folder}/source.db"'
    state = f'[state]\nurl = "sqlite:///{folder}/state.db"'

    def write(*statements: str) -> None:
        with sqlite3.connect(folder / "source.db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return HEAD.format(where=where, more=state) + PEOPLE.format(kind="table", key="so", more=""), write


def test_second_change_of_one_second_is_published_above_the_first(tmp_path: Path) -> None:
    declaration, write = _in_sqlite(tmp_path)
    write(
        "CREATE TABLE nguoi (so TEXT PRIMARY KEY, ten TEXT, luc TIMESTAMP)",
        f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', datetime('now','+7 hours'))",
    )
    connector, publisher = _opened(declaration), MemoryPublisher()
    catch_up(connector, publisher)
    write("UPDATE nguoi SET ten = 'Tên Hai'")
    catch_up(connector, publisher)
    assert _last(publisher.events()) == "Tên Hai"
    assert [event["full_name"] for event in publisher.events()] == ["Tên Một", "Tên Hai"]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_every_change_of_one_second_wins_in_turn(tmp_path: Path, is_restarted: bool) -> None:
    declaration, write = _in_sqlite(tmp_path)
    write(
        "CREATE TABLE nguoi (so TEXT PRIMARY KEY, ten TEXT, luc TIMESTAMP)",
        f"INSERT INTO nguoi VALUES ('{PIN}', 'A', datetime('now','+7 hours'))",
    )
    connector, publisher = _opened(declaration), MemoryPublisher()
    catch_up(connector, publisher)
    for name in ("B", "A", "C"):
        write(f"UPDATE nguoi SET ten = '{name}'")
        connector = _opened(declaration) if is_restarted else connector
        catch_up(connector, publisher)
        assert _last(publisher.events()) == name


def test_row_that_goes_back_to_what_it_was_wins(tmp_path: Path) -> None:
    declaration, write = _in_sqlite(tmp_path)
    times = "datetime('now','+7 hours','-2 seconds')", "datetime('now','+7 hours')"
    write("CREATE TABLE nguoi (so TEXT PRIMARY KEY, ten TEXT, luc TIMESTAMP, som TIMESTAMP)")
    write(f"INSERT INTO nguoi VALUES ('{PIN}', 'A', {times[0]}, {times[0]})")
    connector, publisher = _opened(declaration), MemoryPublisher()
    catch_up(connector, publisher)
    for change in (f"ten = 'B', luc = {times[1]}", "ten = 'A', luc = som"):
        write(f"UPDATE nguoi SET {change}")
        catch_up(connector, publisher)
    assert _last(publisher.events()) == "A"


def test_file_restored_from_a_copy_is_read_from_where_the_copy_stood(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    declaration, write = _in_sqlite(tmp_path)
    write("CREATE TABLE nguoi (so TEXT PRIMARY KEY, ten TEXT, luc TIMESTAMP)")
    write(f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', datetime('now','+7 hours','-3 hours'))")
    copy = (tmp_path / "source.db").read_bytes()
    write("UPDATE nguoi SET ten = 'Tên Hai', luc = datetime('now','+7 hours')")
    publisher = catch_up(_opened(declaration))
    (tmp_path / "source.db").write_bytes(copy)
    catch_up(_opened(declaration), publisher)
    assert _last(publisher.events()) == "Tên Một"
    assert "restored from a copy" in caplog.text
    with closing(_opened(declaration)) as connector:
        position = connector.stored()
    assert position is not None
    assert isinstance(position["stepped_back"], dict)
    caplog.clear()
    catch_up(_opened(declaration), MemoryPublisher())
    assert "restored" not in caplog.text


@pytest.mark.engine
@pytest.mark.parametrize("more", ["", 'late_rows = "overlap"'])
def test_older_transaction_that_writes_last_wins(database_url: str, more: str) -> None:
    _run(database_url, TABLE, f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', now() - interval '1 hour')")
    declaration, publisher = _people("table", "so", more), MemoryPublisher()
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.begin() as older:
        older.execute(text("SELECT now()"))
        _run(database_url, "UPDATE nguoi SET ten = 'Tên Hai', luc = now()")
        catch_up(_opened(declaration, database_url), publisher)
        older.execute(text("UPDATE nguoi SET ten = 'Tên Ba', luc = now()"))
    catch_up(_opened(declaration, database_url), publisher)
    assert _last(publisher.events()) == "Tên Ba"


@pytest.mark.engine
def test_change_without_a_higher_version_wins(database_url: str) -> None:
    _run(database_url, TABLE, "ALTER TABLE nguoi ADD COLUMN ban int DEFAULT 7")
    _run(database_url, f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', now())")
    declaration, publisher = _people("table", "so", 'version = "ban"'), MemoryPublisher()
    catch_up(_opened(declaration, database_url), publisher)
    _run(database_url, "UPDATE nguoi SET ten = 'Tên Hai'")
    catch_up(_opened(declaration, database_url), publisher)
    _run(database_url, "UPDATE nguoi SET ten = 'Tên Ba', ban = 3")
    catch_up(_opened(declaration, database_url), publisher)
    assert [(one["full_name"], one["source_version"]) for one in publisher.events()] == [
        ("Tên Một", 7),
        ("Tên Hai", 8),
        ("Tên Ba", 9),
    ]


@pytest.mark.engine
def test_row_read_again_unchanged_is_the_same_event(database_url: str) -> None:
    _run(database_url, TABLE, f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', now())")
    declaration, publisher = _people("table", "so"), MemoryPublisher()
    catch_up(_opened(declaration, database_url), publisher)
    _run(database_url, "UPDATE nguoi SET ten = 'Tên Hai'")
    catch_up(_opened(declaration, database_url), publisher)
    for _ in range(2):
        _run(database_url, "UPDATE nguoi SET ten = ten")
        catch_up(_opened(declaration, database_url), publisher)
    sent = [(one["event_id"], one["source_version"]) for one in publisher.events()]
    assert sent[1] == sent[2] == sent[3] != sent[0]


@pytest.mark.engine
def test_page_sent_again_has_the_same_versions(database_url: str) -> None:
    _run(database_url, TABLE, f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', now())")
    declaration = _people("table", "so")
    catch_up(_opened(declaration, database_url), MemoryPublisher())
    _run(database_url, "UPDATE nguoi SET ten = 'Tên Hai'")
    publisher = catch_up(_opened(declaration, database_url), MemoryPublisher(failing=[1], failures_lose=False))
    assert [key for key, _ in publisher.failed] == [key for key, _ in publisher.records]
    assert len({one["event_id"] for one in publisher.events()}) == 1


@pytest.mark.engine
@pytest.mark.parametrize("is_one_poll", [False, True])
@pytest.mark.parametrize("more", ["", 'version = "luc"', 'late_rows = "overlap"'])
def test_later_change_with_the_lower_id_wins(database_url: str, more: str, is_one_poll: bool) -> None:
    _run(
        database_url,
        "CREATE SEQUENCE s CACHE 20",
        "CREATE TABLE nguoi (id bigint PRIMARY KEY DEFAULT nextval('s'), so text, ten text,"
        " luc timestamptz DEFAULT clock_timestamp())",
    )
    declaration, publisher = _people("outbox", "id", more), MemoryPublisher()
    engine = create_engine(database_url, poolclass=NullPool).execution_options(isolation_level="AUTOCOMMIT")
    insert = text("INSERT INTO nguoi (so, ten) VALUES (:so, :ten)")
    with engine.connect() as one, engine.connect() as other:
        one.execute(insert, {"so": "036800000140", "ten": "Người Khác"})
        other.execute(insert, {"so": PIN, "ten": "Tên Một"})
        if not is_one_poll:
            catch_up(_opened(declaration, database_url), publisher)
        one.execute(insert, {"so": PIN, "ten": "Tên Hai"})
        catch_up(_opened(declaration, database_url), publisher)
    assert _last([event for event in publisher.events() if event["pin"] == PIN]) == "Tên Hai"


@pytest.mark.engine
def test_outbox_read_anew_does_not_bring_old_changes_back(database_url: str) -> None:
    _run(
        database_url,
        "CREATE TABLE nguoi (id bigserial PRIMARY KEY, so text, ten text, luc timestamptz)",
        f"INSERT INTO nguoi (so, ten, luc) VALUES ('{PIN}', 'Tên Một', now() - interval '2 hours')",
        f"INSERT INTO nguoi (so, ten, luc) VALUES ('{PIN}', 'Tên Hai', now() - interval '1 hour')",
    )
    declaration, publisher = _people("outbox", "id"), MemoryPublisher()
    catch_up(_opened(declaration, database_url), publisher)
    _run(database_url, "UPDATE hub_connector.checkpoint SET position = replace(position, 'system', 'sistem')")
    _run(database_url, "UPDATE nguoi SET ten = ten")
    _run(database_url, "DELETE FROM hub_connector.checkpoint")
    catch_up(_opened(declaration, database_url), publisher)
    assert {(one["full_name"], one["source_version"]) for one in publisher.events()} == {
        ("Tên Một", 1),
        ("Tên Hai", 2),
    }


@pytest.mark.engine
def test_row_dated_ahead_is_set_aside_until_it_is_corrected(database_url: str) -> None:
    _run(database_url, TABLE, f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', '2099-01-01')")
    declaration, publisher = _people("table", "so"), MemoryPublisher()
    run([_opened(declaration, database_url)], publisher, RunOptions(once=True, policy=QUICK))
    assert publisher.events() == []
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        reasons = connection.execute(text("SELECT reason, detail FROM hub_connector.reject")).all()
    assert [tuple(row) for row in reasons] == [("TIME_IN_FUTURE", "occurred_at")]
    _run(database_url, "UPDATE nguoi SET ten = 'Tên Hai', luc = now()")
    catch_up(_opened(declaration, database_url), publisher)
    assert [one["full_name"] for one in publisher.events()] == ["Tên Hai"]
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM hub_connector.reject")).scalar() == 0


@pytest.mark.engine
@pytest.mark.parametrize("more", ["", 'version = "ban"'])
def test_row_within_the_tolerance_and_then_corrected_wins(database_url: str, more: str) -> None:
    _run(database_url, TABLE, "ALTER TABLE nguoi ADD COLUMN ban int DEFAULT 1")
    _run(database_url, f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', now() + interval '20 hours')")
    declaration, publisher = _people("table", "so", more), MemoryPublisher()
    catch_up(_opened(declaration, database_url), publisher)
    _run(database_url, "UPDATE nguoi SET ten = 'Tên Hai', luc = now()")
    catch_up(_opened(declaration, database_url), publisher)
    assert [one["full_name"] for one in publisher.events()] == ["Tên Một", "Tên Hai"]
    assert _last(publisher.events()) == "Tên Hai"


@pytest.mark.engine
def test_times_before_1970_have_versions_that_the_hub_takes(database_url: str) -> None:
    _run(
        database_url,
        "CREATE TABLE nguoi (so text PRIMARY KEY, ten text, luc timestamp)",
        f"INSERT INTO nguoi VALUES ('{PIN}', 'Tên Một', '1900-01-01'), ('036800000132', 'An', '1970-01-01')",
    )
    declaration, publisher = _people("table", "so"), MemoryPublisher()
    catch_up(_opened(declaration, database_url), publisher)
    assert {one["source_version"] for one in publisher.events()} == {0}
    assert len(publisher.events()) == 2
    _run(database_url, f"UPDATE nguoi SET ten = 'Tên Hai' WHERE so = '{PIN}'")
    catch_up(_opened(declaration, database_url), publisher)
    _run(database_url, f"UPDATE nguoi SET ten = 'Tên Ba' WHERE so = '{PIN}'")
    catch_up(_opened(declaration, database_url), publisher)
    assert _last([one for one in publisher.events() if one["pin"] == PIN]) == "Tên Ba"


@pytest.mark.engine
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("ban", "-1", ("BAD_VERSION", "source_version: not between 0 and 9223372036854775807")),
        ("ban", "9223372036854775808", ("BAD_VERSION", "source_version: not between 0 and 9223372036854775807")),
        ("so", "'12345'", ("INVALID_VALUE", "pin: does not match ^[0-9]{12}$")),
        ("luc", "'1799-12-31'", ("INVALID_VALUE", "occurred_at: outside 1800-2399")),
    ],
)
def test_what_the_hub_would_refuse_is_a_reject(
    database_url: str, column: str, value: str, reason: tuple[str, str]
) -> None:
    _run(
        database_url,
        "CREATE TABLE nguoi (id serial PRIMARY KEY, so text, ten text, luc timestamp, ban numeric, ns int, ngay date)",
        "INSERT INTO nguoi (so, ten, luc, ban) VALUES ('036800000140', 'An', '2025-01-01', 5)",
        f"INSERT INTO nguoi (so, ten, luc, ban) VALUES ('{PIN}', 'Tên Một', '2025-01-01', 5)",
        f"UPDATE nguoi SET {column} = {value} WHERE id = 2",
    )
    more = 'version = "ban"'
    fields = 'birth_year = "ns"\ncivil_status_doc_date = "ngay"\n'
    declaration, publisher = _people("table", "id", more) + fields, MemoryPublisher()
    catch_up(_opened(declaration, database_url), publisher)
    assert [one["pin"] for one in publisher.events()] == ["036800000140"]
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        reasons = connection.execute(text("SELECT reason, detail FROM hub_connector.reject")).all()
    assert [tuple(row) for row in reasons] == [reason]


@pytest.mark.engine
@pytest.mark.parametrize(
    ("column", "value", "dropped"),
    [
        ("ns", "1799", "birth_year DROPPED OUT_OF_RANGE"),
        ("ngay", "'2400-01-01'", "civil_status_doc_date DROPPED OUT_OF_RANGE"),
    ],
)
def test_optional_value_that_the_hub_would_drop_is_dropped_here(
    database_url: str, column: str, value: str, dropped: str
) -> None:
    _run(
        database_url,
        "CREATE TABLE nguoi (id serial PRIMARY KEY, so text, ten text, luc timestamp, ban numeric, ns int, ngay date)",
        f"INSERT INTO nguoi (so, ten, luc, ban, {column}) VALUES ('{PIN}', 'Tên Một', '2025-01-01', 5, {value})",
    )
    fields = 'birth_year = "ns"\ncivil_status_doc_date = "ngay"\n'
    declaration, publisher = _people("table", "id", 'version = "ban"') + fields, MemoryPublisher()
    catch_up(_opened(declaration, database_url), publisher)
    (event,) = publisher.events()
    assert (event["birth_year"], event["civil_status_doc_date"], event["doubtful_fields"]) == (None, None, dropped)
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        kept = connection.execute(text("SELECT reason, detail FROM hub_connector.reject")).all()
    assert [tuple(row) for row in kept] == [("FIELD_DROPPED", dropped)]
