"""What a source's driver error means: come back later, a mistake in the declaration, or a bug.

One table by SQLSTATE (PostgreSQL and other drivers that give one) and one by SQLite's error names; an operational error
without either is a server that cannot be reached. Messages of the server are passed on only where they cannot hold a
row's values (I8).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, NoSuchTableError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hub.model.errors import ConfigError, HubError, RetryableError, UnreachableError

UNREACHABLE = ("08", "57P")
"""SQLSTATE beginnings: the connection broke, or the server is stopping or starting."""

RETRYABLE = ("40", "53", "55P03", "55006", "57", "58")
"""SQLSTATE beginnings: lost a race, out of resources, locked, cancelled, an I/O fault of the server's machine."""

DECLARED_WRONG = ("28", "3D000", "3F000", "42501", "42P01", "42703", "42883", "25006")
"""SQLSTATE beginnings: who may log in, what exists, what may be read: the declaration or a grant is wrong."""

SQLITE_RETRYABLE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")
SQLITE_UNREACHABLE = ("SQLITE_CANTOPEN",)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise driver errors as the hub's; ``what`` names the database in the message.

    Raises:
        UnreachableError, RetryableError: try again later.
        ConfigError: the declaration does not fit the source.
        DBAPIError: anything else: a bug.
    """
    try:
        yield
    except NoSuchTableError as error:
        raise ConfigError([f"{what}: there is no table {error}"]) from error
    except PoolTimeoutError as error:
        raise RetryableError(f"{what}: no free connection") from error
    except DBAPIError as error:
        known = meaning(error, what)
        if known is None:
            raise
        raise known from error


def meaning(error: DBAPIError, what: str) -> HubError | None:
    """Return what a driver error means to the hub; None for a bug."""
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    name = getattr(error.orig, "sqlite_errorname", None)
    if isinstance(state, str):
        if state.startswith(UNREACHABLE):
            return UnreachableError(f"{what}: {_first_line(error)}")
        if state.startswith(RETRYABLE):
            return RetryableError(f"{what}: SQLSTATE {state}")
        if state.startswith(DECLARED_WRONG):
            return ConfigError([f"{what}: {_first_line(error)}"])
        return None
    if isinstance(name, str):
        if name.startswith(SQLITE_RETRYABLE):
            return RetryableError(f"{what}: {name}")
        if name.startswith(SQLITE_UNREACHABLE):
            return UnreachableError(f"{what}: {name}")
        return ConfigError([f"{what}: {_first_line(error)}"]) if _is_missing_table(error) else None
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return UnreachableError(f"{what}: {_first_line(error)}")
    return None


def _is_missing_table(error: DBAPIError) -> bool:
    return str(error.orig).startswith(("no such table", "no such column"))


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
