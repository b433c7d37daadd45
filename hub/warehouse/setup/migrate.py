"""Bring a warehouse to the form that this version of the hub needs.

All steps are idempotent. Alembic's numbered migrations create the tables that every warehouse has. Then the tables of
the declared entities are compared with the database, and missing tables, columns and indexes are added; nothing is ever
dropped or changed in type (docs/decisions/0004-tables-of-entities.md). The calendar of working days is put in force.
Last, the audit log's partitions for coming months are created, and the roles get their rights
(hub.warehouse.setup.roles).
"""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.schema import SchemaItem

from hub.model.dossiers.working_time import Calendar
from hub.model.errors import NotMigratedError
from hub.reference.holidays import default_calendar
from hub.warehouse.database import check_server, translated_errors
from hub.warehouse.evidence.months import ensure_months
from hub.warehouse.locks import Lock, hold
from hub.warehouse.setup.roles import ensure_roles, grant_roles, may_migrate
from hub.warehouse.setup.sensitive import move_sensitive
from hub.warehouse.tables.core import metadata
from hub.warehouse.tables.entities import all_aspect_tables
from hub.warehouse.working_time import ensure_calendar


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """The result of a migration: the revision reached, and the entity tables, columns and indexes that it added."""

    revision: str
    added: tuple[str, ...]


def migrate(engine: Engine, schema: str, working_days: Calendar | None = None) -> MigrationReport:
    """Create or complete the warehouse in a schema; a user who does not own it only checks that it is complete.

    Args:
        engine: of the database.
        schema: created if it does not exist.
        working_days: the calendar to put in force; None: the hub's own.

    Raises:
        UnreachableError: the database does not answer.
        ConfigError: the server is too old, a role is missing (hub.warehouse.setup.roles), or the calendar's version is
            stored with different content.
        NotMigratedError: the warehouse is incomplete and this user does not own it.
    """
    with translated_errors("migrating"), engine.connect() as connection:
        check_server(connection)
        if not may_migrate(connection, schema):
            return _complete_already(connection, schema)
    ensure_roles(engine)
    with translated_errors("migrating"), engine.begin() as connection:
        hold(connection, Lock.MIGRATION, schema=schema)
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        added = _complete_entities(connection)
        for tables in all_aspect_tables():
            added += move_sensitive(connection, tables)
        ensure_calendar(connection, working_days or default_calendar())
        added += [f"table {name}" for name in ensure_months(connection)]
        grant_roles(connection, schema)
        revision = MigrationContext.configure(connection).get_current_revision()
    return MigrationReport(revision or "", tuple(added))


def alembic_config() -> Config:
    """Return the configuration of the numbered migrations; the caller sets its attribute ``connection``."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _complete_already(connection: Connection, schema: str) -> MigrationReport:
    """Return the report if nothing is missing; a worker whose user may only add rows starts like this."""
    revision, newest = _revisions(connection)
    lacking = pending(connection) if revision == newest else [f"migration {newest}, after {revision}"]
    if lacking:
        raise NotMigratedError(
            [
                f"the schema {schema} is not complete ({', '.join(lacking[:5])}) and this user does not own it: "
                "run `hub db migrate` with HUB_DATABASE_URL of its owner first"
            ]
        )
    return MigrationReport(revision or "", ())


def check_migrated(engine: Engine, schema: str) -> None:
    """Refuse a schema that is not what this version of the hub needs.

    Raises:
        NotMigratedError: it was never migrated, or an older version migrated it.
        UnreachableError: the database does not answer.
    """
    with translated_errors("looking at the tables"), engine.connect() as connection:
        revision, newest = _revisions(connection)
        if revision is None:
            problem = f"the schema {schema} has no tables of the hub"
        elif revision != newest:
            problem = f"the schema {schema} is at migration {revision}, and this version of the hub needs {newest}"
        elif lacking := pending(connection):
            problem = f"the schema {schema} lacks {', '.join(lacking[:5])}"
        else:
            return
    raise NotMigratedError([f"{problem}: run `hub db migrate`"])


def _revisions(connection: Connection) -> tuple[str | None, str | None]:
    """Return the migration of the schema, and the newest migration."""
    newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision(), newest


def pending(connection: Connection) -> list[str]:
    """Return what the declared entities lack in the database, as text; empty if nothing is missing."""
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
        connection,
        opts={
            "include_object": _is_of_an_entity,
            "include_name": _is_declared,
            "compare_type": False,
            "compare_server_default": False,
        },
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


def _is_declared(name: str | None, kind: str, parents: object) -> bool:
    """Leave out tables that no declaration names, before they are read: the months of the audit log."""
    return kind != "table" or name in metadata.tables


def _set_storage(connection: Connection, table: str) -> None:
    """Leave room in each page for updated rows (HOT), and let autovacuum start early, by share of changed rows."""
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
