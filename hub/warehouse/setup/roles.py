"""Roles of the database: who may add audit rows and who may only read; nobody may change audit rows.

``hub_worker`` adds rows to the append-only tables and works on all other tables, except those for people's decisions:
the policy, operators, and the handling of dead letters. ``hub_reader`` reads everything except hashes of credentials
and the bytes of records that wait or were refused. The owner of the tables can always do anything. Seals and signed
heads exist to reveal what an owner changes without the hub. Roles belong to the whole server, so several databases may
create them at the same time.
"""

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Engine, text

from hub.model.errors import ConfigError
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import authority, dead_letter, parked, policy, source
from hub.warehouse.tables.evidence import APPEND_ONLY, BY_MONTH
from hub.warehouse.tables.ledger import offset_plan
from hub.warehouse.tables.letters import discarded, letter, letter_edit, operator, redrive

WORKER = "hub_worker"
READER = "hub_reader"

DECIDED = tuple(
    table.name for table in (policy, source, authority, operator, letter, letter_edit, redrive, discarded, offset_plan)
)
"""Tables of people's decisions: commands write them as the owner; no worker does."""

WITHHELD: tuple[Column[bytes], ...] = (
    operator.c.salt,
    operator.c.hash,
    dead_letter.c.record_key,
    dead_letter.c.record_value,
    letter_edit.c.record_key,
    letter_edit.c.record_value,
    parked.c.record_key,
    parked.c.record_value,
)
"""Columns that readers may not read."""

_MAKE = """
    DO $$ BEGIN
        CREATE ROLE {role} NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
    END $$
"""
_JOIN = """
    DO $$ BEGIN
        IF NOT pg_has_role(current_user, '{role}', 'SET') THEN
            EXECUTE format('GRANT {role} TO %I', current_user);
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
    END $$
"""


def ensure_roles(engine: Engine) -> None:
    """Create the missing roles, in a separate transaction, because other databases may wait for it.

    Raises:
        ConfigError: a role is missing, or the user is not a member of it, and this user may not change that; the error
            has the statements for an administrator.
    """
    with translated_errors("making the roles"), engine.begin() as connection:
        usable = text("SELECT count(*) FROM pg_roles WHERE rolname = :role AND pg_has_role(current_user, oid, 'SET')")
        for role in (WORKER, READER):
            if connection.execute(usable, {"role": role}).scalar_one():
                continue
            connection.execute(text(_MAKE.format(role=role)))
        missing = []
        for role in (WORKER, READER):
            if connection.execute(text("SELECT FROM pg_roles WHERE rolname = :role"), {"role": role}).first():
                connection.execute(text(_JOIN.format(role=role)))
            if not connection.execute(usable, {"role": role}).scalar_one():
                missing.append(role)
        user = connection.execute(text("SELECT current_user")).scalar_one()
    if missing:
        raise ConfigError([_refusal(role, user) for role in missing])


def _refusal(role: str, user: str) -> str:
    return (
        f"the database has no role {role} that the user {user} may take, and {user} may not make it: an administrator "
        f'runs, once for the server,  CREATE ROLE {role} NOLOGIN;  GRANT {role} TO "{user}";'
    )


def grant_roles(connection: Connection, schema: str) -> None:
    """Give the roles their rights on every table of a schema; run it after tables were created or moved.

    The connection's user must own the tables.
    """
    quoted = f'"{schema}"'
    statements = [
        f"GRANT USAGE ON SCHEMA {quoted} TO {WORKER}, {READER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {quoted} TO {WORKER}, {READER}",
        f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quoted} TO {WORKER}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {quoted} TO {WORKER}",
        f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES, MAINTAIN ON {_names(_parts(connection))} "
        f"FROM {WORKER}",
        f"REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES, MAINTAIN ON {_names(APPEND_ONLY)} FROM {WORKER}",
        f"GRANT MAINTAIN ON {_names(_LOCKED)} TO {WORKER}",
        f"REVOKE INSERT, UPDATE, DELETE ON {_names(('alembic_version', *DECIDED))} FROM {WORKER}",
        f"REVOKE ALL ON {_names((operator.name,))} FROM {WORKER}",
        *_withheld(),
    ]
    for statement in statements:
        connection.execute(text(statement))


def _withheld() -> Iterator[str]:
    """Let readers read all columns of some tables except the withheld ones."""
    for table in {column.table.name: column.table for column in WITHHELD}.values():
        hidden = {column.name for column in WITHHELD if column.table is table}
        name = _names((table.name,))
        shown = _names(tuple(column.name for column in table.columns if column.name not in hidden))
        yield f"REVOKE ALL ON {name} FROM {READER}"
        yield f"GRANT SELECT ({shown}) ON {name} TO {READER}"


def may_read(connection: Connection, column: Column[bytes]) -> bool:
    """Tell whether the connection's user may read a column."""
    asked = text("SELECT has_column_privilege(to_regclass(:table), :column, 'SELECT')")
    return bool(connection.execute(asked, {"table": column.table.name, "column": column.name}).scalar_one())


_LOCKED = ("action", "release")
"""The sealer locks these tables for a moment; the right to do so gives no right on the rows."""


def _names(tables: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in tables)


def _parts(connection: Connection) -> tuple[str, ...]:
    """Name the partitions. Rows may only be written through the partitioned table."""
    names = connection.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = ANY (ARRAY(SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) name))"
        ),
        {"names": list(BY_MONTH)},
    )
    return tuple(names.scalars())


def may_migrate(connection: Connection, schema: str) -> bool:
    """Tell whether the connection's user owns the schema, or may create it."""
    owner = connection.execute(
        text("SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = :schema"),
        {"schema": schema},
    ).scalar_one_or_none()
    if owner is None:
        may = text("SELECT has_database_privilege(current_user, current_database(), 'CREATE')")
        return bool(connection.execute(may).scalar_one())
    return bool(owner)
