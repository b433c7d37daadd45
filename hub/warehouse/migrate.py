"""Bring a warehouse to the shape this version of the hub needs.

Three steps, all idempotent. Alembic's numbered migrations make the tables every warehouse has. Then the tables of the
declared entities are compared with what is there and missing tables, columns and indexes are added; nothing is ever
dropped or retyped (docs/decisions/0004-tables-of-entities.md). Last, the calendar of working days is put in force.
"""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.schema import SchemaItem

from hub.model.working_time import Calendar
from hub.reference.holidays import default_calendar
from hub.warehouse.database import check_server, translated_errors
from hub.warehouse.entity_tables import all_aspect_tables
from hub.warehouse.sensitive import move_sensitive
from hub.warehouse.tables import metadata
from hub.warehouse.working_time import ensure_calendar

_LOCK = 0x4855_4221
"""Advisory lock of migrations: one at a time."""


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migration did: the revision reached, and the entity tables, columns and indexes it added."""

    revision: str
    added: tuple[str, ...]


def migrate(engine: Engine, schema: str, working_days: Calendar | None = None) -> MigrationReport:
    """Create or complete the warehouse in a schema.

    Args:
        engine: of the database.
        schema: made if it is not there.
        working_days: the calendar to put in force; None: the hub's own.

    Raises:
        UnreachableError: the database does not answer.
        ConfigError: the server is too old, or the calendar's version is stored with other content.
    """
    with translated_errors("migrating"), engine.begin() as connection:
        check_server(connection)
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        added = _complete_entities(connection)
        for tables in all_aspect_tables():
            added += move_sensitive(connection, tables)
        ensure_calendar(connection, working_days or default_calendar())
        revision = MigrationContext.configure(connection).get_current_revision()
    return MigrationReport(revision or "", tuple(added))


def pending(connection: Connection) -> list[str]:
    """Return what the declared entities lack in the database, in words; empty when all is there."""
    return [_words(op) for op in _additions(connection)]


def _complete_entities(connection: Connection) -> list[str]:
    operations = Operations(MigrationContext.configure(connection))
    added = []
    for op in _additions(connection):
        operations.invoke(op)
        added.append(_words(op))
        if isinstance(op, ops.CreateTableOp):
            _set_storage(connection, op.table_name)
    return added


def _additions(connection: Connection) -> list[ops.MigrateOperation]:
    all_aspect_tables()
    context = MigrationContext.configure(
        connection, opts={"include_object": _is_of_an_entity, "compare_type": False, "compare_server_default": False}
    )
    found = produce_migrations(context, metadata).upgrade_ops
    flat: list[ops.MigrateOperation] = []
    for op in found.ops if found else []:
        flat.extend(op.ops if isinstance(op, ops.ModifyTableOps) else [op])
    return [op for op in flat if isinstance(op, ops.CreateTableOp | ops.AddColumnOp | ops.CreateIndexOp)]


def _is_of_an_entity(
    item: SchemaItem, name: str | None, kind: str, reflected: bool, compare_to: SchemaItem | None
) -> bool:
    if kind == "table" and isinstance(item, Table):
        return not item.info.get("temporary") and (reflected or "aspect" in item.info)
    return True


def _set_storage(connection: Connection, table: str) -> None:
    """Leave room in each page for updated rows (HOT), and let autovacuum come by share of change, early."""
    fillfactor = 85 if table.endswith("_claim") else 90
    connection.execute(
        text(
            f'ALTER TABLE "{table}" SET (fillfactor = {fillfactor}, '
            "autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)"
        )
    )


def _words(op: ops.MigrateOperation) -> str:
    match op:
        case ops.CreateTableOp():
            return f"table {op.table_name}"
        case ops.AddColumnOp():
            return f"column {op.table_name}.{op.column.name}"
        case ops.CreateIndexOp():
            return f"index {op.index_name}"
        case _:
            return type(op).__name__
