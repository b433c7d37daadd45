"""A driver's error becomes one of the hub's, by the one table of ``connectors.faults.table``.

An error without a code means that the server is away only if the connection is gone or never existed; otherwise the
driver itself refuses a value or a statement. Messages of the server are passed on only if they cannot contain a row's
values (I8). A driver's error is never chained, because its detail lines show keys.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from connectors.faults.numbers import MYSQL, ORACLE, SQL_SERVER
from connectors.faults.table import CONNECTING, DATABASE_OR_ROLE_MISSING, ODBC_STATES, SQLITE, SQLSTATES, Fault, Verdict
from hub.model.errors import ConfigError, HubError, RetryableError, UnreachableError

_MYSQL_DRIVERS = ("pymysql", "MySQLdb", "mysql", "mariadb", "asyncmy")
_ODBC_DRIVERS = ("pyodbc", "mssql_python")
_AWAY = Fault("", Verdict.AWAY)
_BUG = Fault("", Verdict.BUG)
_ROW = Fault("", Verdict.ROW)


class LimitError(ConfigError):
    """A limit that somebody has set in the source stops the query: a few tries, then it counts as configuration."""

    code = "LIMIT"
    tries = 3
    """How many times in a row it happens before it counts as a configuration error."""


class TableChangedError(LimitError):
    """A table is missing or not as declared: perhaps it is being swapped just now, perhaps it was altered for good."""

    code = "TABLE_CHANGED"
    tries = 6


class SourceRowError(HubError):
    """A value of a row cannot be read, and the statement read several rows."""

    code = "SOURCE_ROW"


class SourceFaultError(HubError):
    """The program's own fault: the source's database or its driver refuses a statement or a value."""

    code = "SOURCE_FAULT"


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise driver errors as the hub's errors; ``what`` names the database in the message.

    Raises:
        UnreachableError, RetryableError: the environment; try again later.
        LimitError: a limit of the source; try a few times.
        ConfigError: the declaration does not fit the source.
        SourceRowError: a row holds a value that cannot be read.
        SourceFaultError: anything else: a bug.
    """
    try:
        yield
    except NoSuchTableError as error:
        raise ConfigError(
            [f"{what}: there is no table {error}, or the user may not see it: see table and child, and the rights"]
        ) from None
    except PoolTimeoutError:
        raise RetryableError(f"{what}: no free connection") from None
    except DBAPIError as error:
        raise meaning(error, what) from None


def meaning(error: DBAPIError, what: str) -> HubError:
    """Return what a driver error means to the hub; the message holds no value of a row."""
    original = error.orig
    code, fault = verdict(original, is_connected=error.statement is not None and not error.connection_invalidated)
    advice = f"; {fault.advice}" if fault.advice else ""
    named = f" ({code})" if code else ""
    match fault.verdict:
        case Verdict.AWAY:
            return UnreachableError(f"{what}: {_said(original)}{named}{advice}")
        case Verdict.BUSY:
            return RetryableError(f"{what}: it cannot be read or written now{named}{advice}")
        case Verdict.LIMIT:
            return LimitError([f"{what}: the source's database ended the query{named}{advice}"])
        case Verdict.WRONG:
            return ConfigError([f"{what}: {_said(original)}{named}{advice}"])
        case Verdict.ROW:
            return SourceRowError(f"{what}: a row holds a value that cannot be read{named}")
        case Verdict.BUG:
            kind = type(original).__name__
            return SourceFaultError(
                f"{what}: the database or its driver refuses what the connector asks: {kind}{named}"
            )


def verdict(error: BaseException | None, is_connected: bool = True) -> tuple[str, Fault]:
    """Return a driver's error code (empty if it has none) and its row of the table.

    Args:
        error: as the driver raised it.
        is_connected: whether there was a connection, and it is still open.
    """
    driver = type(error).__module__.partition(".")[0]
    if driver == "sqlite3":
        return _of_sqlite(error)
    if driver in _MYSQL_DRIVERS:
        return _numbered(error, MYSQL, is_connected)
    if driver == "oracledb":
        return _of_oracle(error, is_connected)
    if driver in _ODBC_DRIVERS:
        return _of_odbc(error, is_connected)
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        return f"SQLSTATE {state}", _longest(state, SQLSTATES) or _BUG
    return "", _without_code(error, is_connected)


def _without_code(error: BaseException | None, is_connected: bool) -> Fault:
    name = type(error).__name__
    if name == "DataError":
        return _ROW
    if is_connected or name in ("ProgrammingError", "NotSupportedError"):
        return _BUG
    text = str(error)
    if found := next((fault for fault in CONNECTING if fault.code in text), None):
        return found
    return DATABASE_OR_ROLE_MISSING if "FATAL" in text and DATABASE_OR_ROLE_MISSING.code in text else _AWAY


def _of_sqlite(error: BaseException | None) -> tuple[str, Fault]:
    name = getattr(error, "sqlite_errorname", None) or ""
    text = str(error).lower()
    by_name = _longest(name, SQLITE) if name else None
    by_text = next((fault for fault in SQLITE if text.startswith(fault.code.lower())), None)
    return name, by_name or by_text or _BUG


def _of_oracle(error: BaseException | None, is_connected: bool) -> tuple[str, Fault]:
    given = error.args[0] if error is not None and error.args else None
    full, number = str(getattr(given, "full_code", "")), str(getattr(given, "code", ""))
    found = next((fault for fault in ORACLE if fault.code in (full, number)), None)
    return full or number, found or (_BUG if is_connected else _AWAY)


def _of_odbc(error: BaseException | None, is_connected: bool) -> tuple[str, Fault]:
    args = error.args if error is not None else ()
    state = str(args[0]) if args else ""
    numbers = re.findall(r"\((\d+)\)", str(args[1])) if len(args) > 1 else []
    by_number = next((fault for number in numbers for fault in SQL_SERVER if fault.code == number), None)
    by_state = _longest(state, (*ODBC_STATES, *SQLSTATES))
    code = f"error {by_number.code}" if by_number else f"SQLSTATE {state}" if state else ""
    return code, by_number or by_state or (_BUG if is_connected else _AWAY)


def _numbered(error: BaseException | None, rows: Iterable[Fault], is_connected: bool) -> tuple[str, Fault]:
    number = str(error.args[0]) if error is not None and error.args else ""
    found = next((fault for fault in rows if fault.code == number), None)
    return f"error {number}" if number.isdigit() else "", found or (_BUG if is_connected else _AWAY)


def _longest(code: str, rows: Iterable[Fault]) -> Fault | None:
    found = [fault for fault in rows if code.startswith(fault.code)]
    return max(found, key=lambda fault: len(fault.code), default=None)


def _said(error: BaseException | None) -> str:
    """Return the server's own line. Only for errors about servers, names and rights: it holds no value of a row."""
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    if said is None and error is not None and len(error.args) > 1 and isinstance(error.args[1], str):
        said = error.args[1]
    return (str(said or error).strip().splitlines() or [type(error).__name__])[0]
