"""What each error of a source's driver means, a test per row of the table, and no value of a row in any message."""

import sqlite3
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from connectors.faults import LimitError, SourceFaultError, SourceRowError, translated
from connectors.faults.numbers import MYSQL, ORACLE, SQL_SERVER
from connectors.faults.table import CONNECTING, ODBC_STATES, SQLITE, SQLSTATES, Fault, Verdict
from connectors.faults.translation import meaning
from hub.model.errors import ConfigError, HubError, RetryableError, UnreachableError

TYPES: dict[Verdict, type[HubError]] = {
    Verdict.AWAY: UnreachableError,
    Verdict.BUSY: RetryableError,
    Verdict.LIMIT: LimitError,
    Verdict.WRONG: ConfigError,
    Verdict.ROW: SourceRowError,
    Verdict.BUG: SourceFaultError,
}
SECRET = "036830000123"  # noqa: S105 - a made-up number of a person
DETAIL = f"DETAIL:  Key (so)=({SECRET}) already exists."


def postgres(state: str) -> Exception:
    """An error of psycopg's own class for a SQLSTATE."""
    try:
        kind = psycopg.errors.lookup(state)
    except KeyError:
        kind = psycopg.DatabaseError
    error = kind(f"value {SECRET}\n{DETAIL}")
    error.sqlstate = state
    return error


def sqlite(name: str, text: str = "") -> Exception:
    error = sqlite3.OperationalError(text or f"{name.lower()}")
    if name.startswith("SQLITE_"):
        error.sqlite_errorname = name
    return error


def named(module: str, *args: Any) -> Exception:
    """An error of a driver that may not be installed."""
    kind = type("OperationalError", (Exception,), {"__module__": module})
    return kind(*args)  # type: ignore[no-any-return]


class OracleError:
    """What oracledb puts into an error's arguments."""

    def __init__(self, code: str) -> None:
        is_own = code.startswith("DPY-")
        self.code = 0 if is_own else int(code)
        self.full_code = code if is_own else f"ORA-{int(code):05d}"

    def __str__(self) -> str:
        return f"{self.full_code}: no row's value is here"


def met(original: Exception, statement: str | None = "SELECT", invalidated: bool = False) -> HubError:
    error = DBAPIError(statement, None, original, connection_invalidated=invalidated)
    return meaning(error, "source, table ho_so")


def label(row: Any) -> str:
    return row.code if isinstance(row, Fault) else ""


@pytest.mark.parametrize("row", SQLSTATES, ids=label)
def test_sqlstate_of_psycopg_means_what_the_table_says(row: Fault) -> None:
    state = row.code.ljust(5, "0")
    found = met(postgres(state))
    assert type(found) is TYPES[row.verdict]
    assert row.advice in str(found)
    if row.verdict is not Verdict.BUG:
        assert state in str(found)


@pytest.mark.parametrize("row", SQLITE, ids=label)
def test_sqlite_error_means_what_the_table_says(row: Fault) -> None:
    original = sqlite(row.code) if row.code.startswith("SQLITE_") else sqlite("SQLITE_ERROR", f"{row.code}: x")
    assert type(met(original)) is TYPES[row.verdict]
    assert row.advice in str(met(original))


def test_extended_names_of_sqlite_belong_to_their_beginning() -> None:
    assert type(met(sqlite("SQLITE_BUSY_SNAPSHOT"))) is RetryableError
    assert type(met(sqlite("SQLITE_IOERR_READ"))) is RetryableError
    assert type(met(sqlite("SQLITE_READONLY_DBMOVED"))) is ConfigError


@pytest.mark.parametrize("row", MYSQL, ids=label)
@pytest.mark.parametrize("module", ["pymysql.err", "MySQLdb", "mysql.connector.errors", "mariadb"])
def test_error_number_of_mysql_means_what_the_table_says(row: Fault, module: str) -> None:
    found = met(named(module, int(row.code), "no row's value is here"))
    assert type(found) is TYPES[row.verdict]
    assert row.code in str(found)
    assert row.advice in str(found)


@pytest.mark.parametrize("row", ORACLE, ids=label)
def test_error_number_of_oracle_means_what_the_table_says(row: Fault) -> None:
    found = met(named("oracledb.exceptions", OracleError(row.code)))
    assert type(found) is TYPES[row.verdict]
    assert row.advice in str(found)


@pytest.mark.parametrize("row", SQL_SERVER, ids=label)
@pytest.mark.parametrize("module", ["pyodbc", "mssql_python.exceptions"])
def test_error_number_of_sql_server_means_what_the_table_says(row: Fault, module: str) -> None:
    found = met(named(module, "42000", f"[42000] [Microsoft] no row's value is here ({row.code}) (SQLExecDirectW)"))
    assert type(found) is TYPES[row.verdict]
    assert row.advice in str(found)


@pytest.mark.parametrize("row", ODBC_STATES, ids=label)
def test_state_of_odbc_means_what_the_table_says(row: Fault) -> None:
    found = met(named("pyodbc", row.code, "no number here"))
    assert type(found) is TYPES[row.verdict]
    if row.verdict is not Verdict.BUG:
        assert f"SQLSTATE {row.code}" in str(found)


@pytest.mark.parametrize("row", CONNECTING, ids=label)
def test_refusal_while_connecting_to_postgresql_means_what_the_table_says(row: Fault) -> None:
    text = f'connection failed: connection to server at "10.0.0.5", port 5432 failed: FATAL:  {row.code} x'
    found = met(psycopg.OperationalError(text), statement=None)
    assert type(found) is TYPES[row.verdict]
    assert row.advice in str(found)


def test_missing_database_is_configuration_and_a_missing_socket_is_a_server_away() -> None:
    missing = 'connection failed: FATAL:  database "x" does not exist'
    assert type(met(psycopg.OperationalError(missing), statement=None)) is ConfigError
    refused = 'connection to server at "127.0.0.1", port 1 failed: Connection refused'
    assert type(met(psycopg.OperationalError(refused), statement=None)) is UnreachableError


def test_error_without_a_code_is_a_server_away_only_when_the_connection_is_gone() -> None:
    limit = psycopg.OperationalError(
        "sending query and params failed: number of parameters must be between 0 and 65535"
    )
    assert type(met(limit)) is SourceFaultError
    gone = psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly")
    assert type(met(gone, invalidated=True)) is UnreachableError


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (psycopg.DataError(f"timestamp too large: {SECRET}"), SourceRowError),
        (psycopg.ProgrammingError(f"cannot adapt {SECRET}"), SourceFaultError),
        (psycopg.NotSupportedError(f"cannot do {SECRET}"), SourceFaultError),
        (sqlite3.ProgrammingError(f"Error binding parameter: {SECRET}"), SourceFaultError),
        (sqlite3.InterfaceError(f"bad parameter {SECRET}"), SourceFaultError),
        (sqlite3.OperationalError("too many SQL variables"), SourceFaultError),
        (sqlite3.OperationalError(f"Could not decode to UTF-8 column 'ten' with text '{SECRET}'"), SourceRowError),
        (named("pymysql.err", f"a dict can not be used as parameter {SECRET}"), SourceFaultError),
        (named("oracledb.exceptions", OracleError("1795")), SourceFaultError),
        (named("pyodbc", "HY000", f"no such thing {SECRET}"), SourceFaultError),
        (postgres("22P02"), SourceRowError),
        (postgres("23505"), SourceFaultError),
        (postgres("42601"), SourceFaultError),
    ],
)
def test_i8_refusal_by_the_driver_itself_is_no_server_away_and_shows_no_value(
    original: Exception, expected: type[HubError]
) -> None:
    found = met(original)
    assert type(found) is expected
    assert SECRET not in str(found)


def test_i8_no_driver_error_is_chained_to_what_is_raised() -> None:
    with pytest.raises(SourceFaultError) as caught, translated("connector's state"):
        raise DBAPIError("INSERT", {"so": SECRET}, postgres("23505"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_errors_of_the_library_that_carry_no_driver_error() -> None:
    with pytest.raises(RetryableError, match="no free connection"), translated("source"):
        raise PoolTimeoutError()
    with pytest.raises(ConfigError, match="there is no table ho_so"), translated("source"):
        raise NoSuchTableError("ho_so")
