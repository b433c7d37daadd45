"""Connections to PostgreSQL, and the one table that says what a driver's error means.

SQLSTATE classes: 08 (connection), 40001/40P01 (serialisation, deadlock), 53 (resources, full disk), 55P03 (lock), 57
(operator intervention) and 42501 (a missing privilege: the administrator's to mend) are retryable: never a dead
letter. 22 and 23 point at a row of the batch. All else, 42 among it, is a bug and stops the worker.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from hub.model.errors import ConfigError, HubError, PoisonError, RetryableError, UnreachableError

RETRYABLE_CLASSES = ("08", "53", "57")
MISSING_PRIVILEGE = "42501"
RETRYABLE_STATES = ("40001", "40P01", "55P03", MISSING_PRIVILEGE)
ROW_CLASSES = ("22", "23")
LEAST_SERVER = 18


def open_database(url: str, schema: str, application: str = "hub", role: str | None = None) -> Engine:
    """Return an engine whose connections see only the warehouse's schema.

    Args:
        url: ``postgresql+psycopg://...`` (or ``postgresql://...``).
        schema: becomes the ``search_path``.
        application: shown in ``pg_stat_activity``.
        role: taken by every connection, so that it may do no more than the role (hub.warehouse.roles).

    Raises:
        ConfigError: the URL is not one of PostgreSQL; when connecting, the user may not take the role.
    """
    parsed = _checked_url(url)
    engine = create_engine(
        parsed,
        pool_size=8,
        max_overflow=16,
        pool_pre_ping=False,
        connect_args={"connect_timeout": 5, "application_name": application},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: psycopg.Connection[tuple[object, ...]], record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(psycopg.sql.SQL("SET search_path TO {}, pg_catalog").format(psycopg.sql.Identifier(schema)))
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute("SET plan_cache_mode = force_custom_plan")
            cursor.execute("SET temp_buffers = '64MB'")
            if role is not None:
                _take_role(cursor, role)
        connection.commit()

    return engine


def _take_role(cursor: psycopg.Cursor[tuple[object, ...]], role: str) -> None:
    try:
        cursor.execute(psycopg.sql.SQL("SET ROLE {}").format(psycopg.sql.Identifier(role)))
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
        raise ConfigError(
            [f"this user may not take the role {role}, or it is not there: `hub db migrate` says what is to be done"]
        ) from error


def _checked_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except Exception as error:
        raise ConfigError(
            ["HUB_DATABASE_URL is not a database URL, e.g. postgresql+psycopg://user:password@host/name"]
        ) from error
    if parsed.get_backend_name() != "postgresql":
        raise ConfigError(
            ["HUB_DATABASE_URL must name a PostgreSQL database: postgresql+psycopg://user:password@host/name"]
        )
    return parsed.set(drivername="postgresql+psycopg")


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Turn a driver's error into one of the hub's, by SQLSTATE.

    Args:
        doing: what was being done, for the message, e.g. "committing a batch".

    Raises:
        UnreachableError, RetryableError, PoisonError: see the module; anything unlisted is left as it is.
    """
    try:
        yield
    except DBAPIError as error:
        translated = translate(error.orig, doing, disconnected=error.connection_invalidated)
        if translated is None:
            raise
        raise translated from error
    except psycopg.Error as error:
        translated = translate(error, doing)
        if translated is None:
            raise
        raise translated from error


def translate(error: BaseException | None, doing: str, disconnected: bool = False) -> HubError | None:
    """Return the hub's error for a driver's, None when it is a bug. The message holds the SQLSTATE, never the row."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        if disconnected or isinstance(error, psycopg.OperationalError):
            return UnreachableError(f"PostgreSQL does not answer ({doing}); is it up, and is HUB_DATABASE_URL right?")
        return None
    if state[:2] in {"08", "57"}:
        return UnreachableError(f"PostgreSQL went away ({doing}, SQLSTATE {state})")
    if state.startswith("28"):
        return ConfigError([f"PostgreSQL refuses the user or password of HUB_DATABASE_URL (SQLSTATE {state})"])
    if state == "3D000":
        return ConfigError(["the database that HUB_DATABASE_URL names does not exist (SQLSTATE 3D000)"])
    if state[:2] in RETRYABLE_CLASSES or state in RETRYABLE_STATES:
        return RetryableError(f"PostgreSQL cannot do it now ({doing}, SQLSTATE {state}{_object_of(error, state)})")
    if state[:2] in ROW_CLASSES:
        return PoisonError("INVALID_VALUE", f"PostgreSQL refuses a value ({doing}, SQLSTATE {state})")
    return None


def _object_of(error: BaseException | None, state: str) -> str:
    """Name what a privilege is missing for: that message holds names of tables, never a value."""
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    return f": {said}" if state == MISSING_PRIVILEGE and said else ""


def check_server(connection: Connection) -> None:
    """Refuse a server that is too old for ``RETURNING old``; raises ConfigError."""
    version = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if version < LEAST_SERVER:
        raise ConfigError([f"PostgreSQL {version} is too old: the hub needs {LEAST_SERVER} or newer"])
