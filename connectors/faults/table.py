"""What each error of a source's database means: one table, by SQLSTATE, error number or error name.

Six verdicts say who is at fault and what happens next. The advice says what a person can do. No text here, and no
server message that is passed on, contains a row's values (I8). ``connectors.faults`` looks errors up here.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Who is at fault, and what happens next."""

    AWAY = "away"  # environment: no answer; the connector retries until there is one
    BUSY = "busy"  # environment: it answers but cannot do it now; the connector retries
    LIMIT = "limit"  # a limit that somebody has set: a few tries, then it counts as configuration
    WRONG = "wrong"  # configuration: the declaration, a right or a setting; exit code 2
    ROW = "row"  # a value of a row
    BUG = "bug"  # the program


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: the beginning of a SQLSTATE, or a whole number or name; its meaning; what to do about it."""

    code: str
    verdict: Verdict
    advice: str = ""


_TIMEOUT = "give the reader's role more time: ALTER ROLE ... SET {} = '10min' (or 0), or make the query cheaper"
NO_RIGHT = "grant the reader's role what it needs: docs/add-a-source.md, what the connector needs of your database"
TOO_MANY = "end sessions that are not needed, or allow more"
NEW_PASSWORD = "set a new password in the database, and in the variable that url_env names"  # noqa: S105 - advice

SQLSTATES = (
    Fault("08P01", Verdict.BUG),
    Fault("08", Verdict.AWAY),
    Fault("57P05", Verdict.AWAY, "idle_session_timeout ended the session; set it to 0 for the reader's role"),
    Fault("57P", Verdict.AWAY),
    Fault("HYT00", Verdict.AWAY, "no answer in time"),
    Fault("HYT01", Verdict.AWAY, "no connection in time"),
    Fault(
        "57014",
        Verdict.LIMIT,
        "statement_timeout was exceeded, or somebody cancelled; " + _TIMEOUT.format("statement_timeout"),
    ),
    Fault("25P03", Verdict.LIMIT, _TIMEOUT.format("idle_in_transaction_session_timeout")),
    Fault("25P04", Verdict.LIMIT, _TIMEOUT.format("transaction_timeout")),
    Fault("55P03", Verdict.BUSY, "another session holds a lock on the table, and lock_timeout ended (or NOWAIT)"),
    Fault("55006", Verdict.BUSY),
    Fault("55", Verdict.WRONG),
    Fault(
        "40001",
        Verdict.BUSY,
        "another transaction was first; on a standby: recovery cancelled the query, see max_standby_streaming_delay"
        " and hot_standby_feedback",
    ),
    Fault("40", Verdict.BUSY),
    Fault("53300", Verdict.BUSY, "no connection is free, for the role (CONNECTION LIMIT) or the server; " + TOO_MANY),
    Fault("53100", Verdict.BUSY, "the disk of the source's server is full"),
    Fault("53400", Verdict.LIMIT, "a limit of the server's configuration, such as temp_file_limit, is reached"),
    Fault("53", Verdict.BUSY),
    Fault("58P01", Verdict.WRONG, "a file of the database is missing: its administrator must look"),
    Fault("58", Verdict.BUSY),
    Fault("28P01", Verdict.WRONG, "wrong or expired password: " + NEW_PASSWORD),
    Fault("28", Verdict.WRONG, "the server refuses this user: see pg_hba.conf, the role's LOGIN and VALID UNTIL"),
    Fault("3D000", Verdict.WRONG, "there is no such database: see the URL"),
    Fault("3F000", Verdict.WRONG, "there is no such schema: see table, or state_schema"),
    Fault("42501", Verdict.WRONG, NO_RIGHT),
    Fault("42P01", Verdict.WRONG, "there is no such table: see table and child"),
    Fault("42703", Verdict.WRONG, "there is no such column: see key, version, changed_at and the fields"),
    Fault("42883", Verdict.WRONG, "a column's type cannot be compared or ordered: see key, changed_at and on"),
    Fault("42804", Verdict.WRONG, "two columns' types cannot be compared: see key, where and on"),
    Fault("42P22", Verdict.WRONG, "two columns' collations differ: see key and on"),
    Fault("42P21", Verdict.WRONG, "two columns' collations differ: see key and on"),
    Fault("25006", Verdict.WRONG, "the database is read-only: let [state] name another one"),
    Fault("0A000", Verdict.LIMIT, "the server cannot do this, or the table's columns changed under the connector"),
    Fault("XX001", Verdict.WRONG, "data of the source are corrupt on its disk: its administrator must look"),
    Fault("XX002", Verdict.WRONG, "an index of the source is corrupt: its administrator must REINDEX it"),
    Fault("21", Verdict.ROW),
    Fault("22", Verdict.ROW),
    Fault("23502", Verdict.ROW),
    Fault("23514", Verdict.ROW),
    Fault("54001", Verdict.ROW),
    Fault("HV", Verdict.BUSY, "the foreign server behind the table cannot do it"),
    Fault("P0", Verdict.LIMIT, "a function behind the table raises its own error"),
    Fault("38", Verdict.LIMIT, "a function behind the table raises its own error"),
    Fault("39", Verdict.LIMIT, "a function behind the table raises its own error"),
    Fault("XX", Verdict.LIMIT, "the server has an internal error: its administrator must see its log"),
    Fault("54", Verdict.BUG),
)
"""SQLSTATEs of PostgreSQL, and those that ODBC drivers give. The longest matching beginning counts."""

ODBC_STATES = (
    Fault("42S02", Verdict.WRONG, "there is no such table: see table and child"),
    Fault("42S22", Verdict.WRONG, "there is no such column: see key, version, changed_at and the fields"),
)

CONNECTING = (
    Fault("password authentication failed", Verdict.WRONG, "wrong or expired password: " + NEW_PASSWORD),
    Fault("no password supplied", Verdict.WRONG, "the URL has no password: " + NEW_PASSWORD),
    Fault("no pg_hba.conf entry", Verdict.WRONG, "the server's pg_hba.conf has no entry for this host and user"),
    Fault("authentication failed", Verdict.WRONG, "the server refuses this user"),
    Fault("is not permitted to log in", Verdict.WRONG, "the role needs LOGIN"),
    Fault("permission denied for database", Verdict.WRONG, "GRANT CONNECT ON DATABASE ... TO the reader's role"),
    Fault("invalid connection option", Verdict.WRONG, "see the parameters after ? in the URL"),
    Fault("invalid port number", Verdict.WRONG, "see the port in the URL"),
    Fault("invalid sslmode value", Verdict.WRONG, "see sslmode in the URL"),
    Fault(
        "too many connections",
        Verdict.BUSY,
        "no connection is free, for the role (CONNECTION LIMIT) or the database; " + TOO_MANY,
    ),
    Fault("too many clients", Verdict.BUSY, "no connection of the server is free; " + TOO_MANY),
    Fault("remaining connection slots", Verdict.BUSY, "no connection of the server is free; " + TOO_MANY),
    Fault("could not translate host name", Verdict.AWAY, "no such host: see the URL, and DNS"),
    Fault("failed to resolve host", Verdict.AWAY, "no such host: see the URL, and DNS"),
)
"""Parts of libpq's and the server's messages, as connecting gives no SQLSTATE. The first match counts."""

DATABASE_OR_ROLE_MISSING = Fault("does not exist", Verdict.WRONG, "no such database or role: see the URL")

SQLITE = (
    Fault("SQLITE_READONLY", Verdict.WRONG, "the file is read-only: let [state] name another file"),
    Fault("SQLITE_CANTOPEN", Verdict.AWAY, "the file or its folder is not there, or may not be opened: see the URL"),
    Fault("SQLITE_BUSY", Verdict.BUSY, "another program holds the file locked"),
    Fault("SQLITE_LOCKED", Verdict.BUSY, "another program holds the table locked"),
    Fault("SQLITE_PROTOCOL", Verdict.BUSY, "another program holds the file locked"),
    Fault("SQLITE_FULL", Verdict.BUSY, "the disk is full"),
    Fault("SQLITE_IOERR", Verdict.BUSY, "the disk or the network share gives an error"),
    Fault("SQLITE_NOMEM", Verdict.BUSY, "memory is short"),
    Fault("SQLITE_SCHEMA", Verdict.BUSY, "the table was changed meanwhile"),
    Fault("SQLITE_INTERRUPT", Verdict.LIMIT, "the query took too long"),
    Fault("SQLITE_CORRUPT", Verdict.WRONG, "the file is damaged: see PRAGMA integrity_check"),
    Fault("SQLITE_NOTADB", Verdict.WRONG, "the file is not a SQLite database, or is encrypted: see the URL"),
    Fault("SQLITE_AUTH", Verdict.WRONG, NO_RIGHT),
    Fault("SQLITE_PERM", Verdict.WRONG, NO_RIGHT),
    Fault("no such table", Verdict.WRONG, "see table and child"),
    Fault("no such column", Verdict.WRONG, "see key, version, changed_at and the fields"),
    Fault("no such collation sequence", Verdict.WRONG, "the program that made the table uses its own collation"),
    Fault("no such module", Verdict.WRONG, "the table needs an extension of SQLite that is not here"),
    Fault("could not decode to UTF-8", Verdict.ROW),
    Fault("SQLITE_TOOBIG", Verdict.ROW),
    Fault("malformed JSON", Verdict.ROW),
    Fault("integer overflow", Verdict.ROW),
)
"""Matched by the beginning of the error's name; if the name says nothing, by the beginning of its message."""
