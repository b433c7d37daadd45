"""Connections to PostgreSQL, and the meaning of the driver's errors.

``hub.warehouse.sqlstates`` gives the meaning by SQLSTATE. Values that the driver refuses before it asks the server (a
NUL, half a surrogate pair, a number that is too large) are a row's fault too.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import StatementError

from hub.model.errors import ConfigError, HubError, PoisonError, RetryableError, UnreachableError
from hub.model.outcomes import Reason
from hub.warehouse.sqlstates import Fault, fault_of

MISSING_PRIVILEGE = "42501"
LEAST_SERVER = 18


def open_database(url: str, schema: str, application: str = "hub", role: str | None = None) -> Engine:
    """Return an engine whose connections see only the warehouse's schema.

    Args:
        url: ``postgresql+psycopg://...`` (or ``postgresql://...``).
        schema: becomes the ``search_path``.
        application: shown in ``pg_stat_activity``.
        role: set on every connection, which then has no more rights than the role (hub.warehouse.setup.roles).

    Raises:
        ConfigError: the URL is not one of PostgreSQL; or, when connecting, the user may not take the role.
    """
    parsed = _checked_url(url)
    engine = create_engine(
        parsed,
        pool_size=8,
        max_overflow=16,
        pool_pre_ping=False,
        hide_parameters=True,  # I8: an error's text may be logged
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
            [f"this user may not take the role {role}, or it does not exist: `hub db migrate` says what to do"]
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
        UnreachableError, RetryableError, PoisonError: see the module; any other error is not changed.
    """
    try:
        yield
    except StatementError as error:
        is_lost = bool(getattr(error, "connection_invalidated", False))
        translated = translate(error.orig, doing, disconnected=is_lost)
        if translated is None:
            raise
        raise translated from error
    except (psycopg.Error, *_UNSENDABLE) as error:
        translated = translate(error, doing)
        if translated is None:
            raise
        raise translated from error


_UNSENDABLE = (UnicodeEncodeError, OverflowError)
"""Errors when a value is converted for the server, in addition to the driver's own errors."""


def translate(error: BaseException | None, doing: str, disconnected: bool = False) -> HubError | None:
    """Return the hub's error for a driver's error, or None if it is a bug. The message holds no row values."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return _translate_of_client(error, doing, disconnected)
    match fault_of(state, _is_fatal(error)):
        case Fault.UNREACHABLE:
            return UnreachableError(_UNREACHABLE.get(state, _WENT_AWAY).format(doing=doing, state=state))
        case Fault.ENVIRONMENT:
            return RetryableError(f"PostgreSQL cannot do it now ({doing}, SQLSTATE {state}{_object_of(error, state)})")
        case Fault.CONFIGURATION:
            return ConfigError([_CONFIGURATION.get(state[:2], _CONFIGURATION_OTHER).format(doing=doing, state=state)])
        case Fault.ROW:
            return PoisonError(Reason.INVALID_VALUE, f"PostgreSQL refuses a value ({doing}, SQLSTATE {state})")
    return None


def _translate_of_client(error: BaseException | None, doing: str, disconnected: bool) -> HubError | None:
    if disconnected or isinstance(error, psycopg.OperationalError):
        return UnreachableError(f"PostgreSQL does not answer ({doing}); is it up, and is HUB_DATABASE_URL right?")
    if isinstance(error, psycopg.DataError | UnicodeEncodeError | OverflowError):
        kind = type(error).__name__
        return PoisonError(Reason.INVALID_VALUE, f"a value has no form that PostgreSQL takes ({doing}, {kind})")
    return None


_WENT_AWAY = "PostgreSQL went away ({doing}, SQLSTATE {state})"
_UNREACHABLE = {
    "57014": "PostgreSQL cancelled a statement ({doing}, SQLSTATE {state}): either statement_timeout is set for the "
    "hub's user or database (`ALTER ROLE ... SET statement_timeout = 0`), or somebody cancels it",
}
_CONFIGURATION = {
    "28": "PostgreSQL refuses the user or password of HUB_DATABASE_URL (SQLSTATE {state})",
    "3D": "the database that HUB_DATABASE_URL names does not exist (SQLSTATE {state})",
    "3F": "the schema that HUB_DATABASE_SCHEMA names does not exist ({doing}, SQLSTATE {state})",
}
_CONFIGURATION_OTHER = "PostgreSQL does not know a role ({doing}, SQLSTATE {state}): `hub db migrate` makes the hub's"


def _is_fatal(error: BaseException | None) -> bool:
    """Tell whether the server ended the connection with this error; false for an error made by a test."""
    severity = getattr(getattr(error, "diag", None), "severity_nonlocalized", None)
    return severity in {"FATAL", "PANIC"}


def _object_of(error: BaseException | None, state: str) -> str:
    """Return the object for which a privilege is missing: that message holds names of tables, never a value."""
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    return f": {said}" if state == MISSING_PRIVILEGE and said else ""


def check_server(connection: Connection) -> None:
    """Refuse a server that is too old for ``RETURNING old``; raises ConfigError."""
    version = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if version < LEAST_SERVER:
        raise ConfigError([f"PostgreSQL {version} is too old: the hub needs {LEAST_SERVER} or newer"])
