"""The warehouse's tables, sources and offsets on the real PostgreSQL."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, MetaData, Table, UniqueConstraint, text

from hub.model.errors import ConcurrentUpdateError, UnreachableError
from hub.reconcile.fence import Stamp, begin_batch
from hub.warehouse.batch import Advance
from hub.warehouse.database import open_database, translated_errors
from hub.warehouse.offsets import ensure_positions, read_positions
from hub.warehouse.setup.migrate import migrate, pending
from hub.warehouse.sources import digest_in_force
from hub.warehouse.tables.entities import all_aspect_tables
from hub.warehouse.tables.kinds import lasting_tables
from tests.support.merge_world import Said, World, key_of


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url, "hub", "test")
    yield engine
    engine.dispose()


@pytest.fixture
def connection(world: World) -> Iterator[Connection]:
    """A connection whose transaction is rolled back."""
    with world.engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def test_migrate_adds_nothing_when_run_again(database: Engine) -> None:
    first = migrate(database, "hub")
    again = migrate(database, "hub")
    assert {f"table {tables.claim.name}" for tables in all_aspect_tables()} < set(first.added)
    assert (again.revision, again.added) == (first.revision, ())
    with database.connect() as connection:
        assert pending(connection) == []


def test_migrate_brings_back_a_column_a_table_and_an_index_and_keeps_rows(world: World) -> None:
    world.commit([Said(1, "population", 1)])
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE citizen_person_claim DROP COLUMN native_place"))
        connection.execute(text("DROP TABLE procedure_catalogue_record"))
        connection.execute(text("DROP INDEX admin_unit_unit_claim_scheme_unit_code"))
    lacking = [
        "table procedure_catalogue_record",
        "index admin_unit_unit_claim_scheme_unit_code",
        "column citizen_person_claim.native_place",
    ]
    with world.engine.connect() as connection:
        assert sorted(pending(connection)) == sorted(lacking)
    assert sorted(migrate(world.engine, "hub").added) == sorted(lacking)
    assert world.rows("SELECT full_name, native_place FROM citizen_person_claim") == [("A", None)]
    world.commit([Said(1, "population", 2)])
    assert world.outcomes() == ["applied", "applied"]


def test_tables_of_the_numbered_migrations_are_not_completed(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE review DROP COLUMN closed_at"))
    connection.execute(text("DROP TABLE share_position"))
    assert pending(connection) == []


def test_migrate_leaves_columns_that_no_declaration_names(world: World) -> None:
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE citizen_person_claim ADD COLUMN of_a_later_version text"))
    assert migrate(world.engine, "hub").added == ()
    assert world.rows("SELECT of_a_later_version FROM citizen_person_claim") == []
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE citizen_person_claim DROP COLUMN of_a_later_version"))


def test_schemas_of_one_database_do_not_see_each_other(world: World) -> None:
    url = world.engine.url.render_as_string(hide_password=False)
    shadow = open_database(url, "shadow", "test")
    migrate(shadow, "shadow")
    world.commit([Said(1, "population", 1)])
    with shadow.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM citizen_person_claim")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM source")).scalar_one() == 0
    shadow.dispose()


def _shape(table: Table) -> tuple[object, ...]:
    columns = {
        column.name: (str(column.type.compile(dialect=_DIALECT)), column.nullable, column.identity is not None)
        for column in table.columns
    }
    unique = {
        frozenset(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    defaults = {column.name for column in table.columns if column.server_default is not None}
    return columns, [column.name for column in table.primary_key], unique, defaults


_DIALECT = open_database("postgresql://nowhere/nothing", "hub").dialect


_NOT_DECLARED = re.compile(r"alembic_version|(audit|release)_(\d{4}_\d\d|rest)")


def test_tables_equal_what_migrations_create(world: World) -> None:
    reflected = MetaData()
    reflected.reflect(world.engine)
    wanted = {table.name: _shape(table) for table in lasting_tables()}
    found = {name: _shape(table) for name, table in reflected.tables.items() if not _NOT_DECLARED.fullmatch(name)}
    assert found == wanted


def test_positions_begin_where_the_log_begins_and_then_stay(connection: Connection) -> None:
    first = ensure_positions(connection, {("a", 0): 7})
    again = ensure_positions(connection, {("a", 0): 9, ("a", 1): 3})
    assert first["a", 0] == again["a", 0]
    assert (again["a", 0].first_offset, again["a", 0].next_offset) == (7, 7)
    assert again["a", 1].next_offset == 3
    assert set(again) == {("a", 0), ("a", 1)}
    assert ensure_positions(connection, {}) == {}


def test_positions_use_up_no_numbers_when_placed_again(connection: Connection) -> None:
    before = ensure_positions(connection, {("a", 0): 0})["a", 0].log
    for _ in range(3):
        ensure_positions(connection, {("a", 0): 0})
    assert ensure_positions(connection, {("a", 0): 0, ("a", 1): 0})["a", 1].log == before + 1


def test_fence_moves_all_positions_or_raises(connection: Connection, world: World) -> None:
    stamp = Stamp("test", connection.execute(digest_in_force()).scalar_one())
    one, two = (Advance(world.logs[n], "t", n, 0, 5 + n, 4) for n in (0, 1))
    begin_batch(connection, [two, one], stamp)
    stored = {position.log: position for position in read_positions(connection).values()}
    assert [stored[world.logs[n]].next_offset for n in (0, 1, 2)] == [5, 6, 0]
    ahead = replace(one, expected=5, next_offset=9)
    with pytest.raises(ConcurrentUpdateError, match="1 of 2 stored offsets were as expected"):
        begin_batch(connection, [ahead, replace(two, expected=5)], stamp)


def test_database_that_does_not_answer_is_unreachable(world: World) -> None:
    url = world.engine.url.set(port=1)
    elsewhere = open_database(url.render_as_string(hide_password=False), "hub")
    with pytest.raises(UnreachableError), translated_errors("asking"), elsewhere.connect():
        pass


@pytest.mark.parametrize("changed", [{"database": "no_such"}, {"username": "nobody", "password": "not this one"}])
def test_wrong_database_or_user_is_unreachable_and_names_the_setting(world: World, changed: dict[str, str]) -> None:
    url = world.engine.url.set(**changed)  # type: ignore[arg-type]
    elsewhere = open_database(url.render_as_string(hide_password=False), "hub")
    asking = translated_errors("asking")
    with pytest.raises(UnreachableError, match="HUB_DATABASE_URL") as refused, asking, elsewhere.connect():
        pass
    assert "not this one" not in str(refused.value)


def test_store_goes_on_when_its_connection_was_ended(world: World) -> None:
    world.commit([Said(1, "population", 1)])
    other = open_database(world.engine.url.render_as_string(hide_password=False), "hub")
    with other.connect() as connection:
        ended = connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND pid <> :own"),
            {"name": world.engine.url.database, "own": connection.scalar(text("SELECT pg_backend_pid()"))},
        )
        assert ended.rowcount > 0
    other.dispose()
    with pytest.raises(UnreachableError):
        world.commit([Said(1, "population", 2)])
    world.commit([Said(1, "population", 2)])
    assert world.outcomes() == ["applied", "applied"]


def test_migrate_moves_fields_that_became_sensitive_out_of_the_claims(world: World) -> None:
    world.commit([Said(1, "population", 1), Said(2, "population", 1)])
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE citizen_person_claim ADD COLUMN ethnicity text"))
        connection.execute(text("UPDATE citizen_person_claim SET ethnicity = 'Tày' WHERE key = :k"), {"k": key_of(1)})
    report = migrate(world.engine, "hub")
    assert report.added == ("column citizen_person_claim.ethnicity moved to the sensitive companion",)
    assert world.rows("SELECT key, ethnicity FROM citizen_person_sensitive") == [(key_of(1), "Tày")]
    assert world.rows("SELECT key FROM citizen_person_claim WHERE sensitive") == [(key_of(1),)]
    assert migrate(world.engine, "hub").added == ()
