"""The cause of a PostgreSQL error, by SQLSTATE: one table, for PostgreSQL 18 (its Appendix A).

A code in ``CODES`` takes precedence over its class in ``CLASSES``. A class that is in neither is a bug of the hub. For
the fault ROW the table only says where to look first: ``hub.reconcile.isolate`` tries the rows.
"""

from collections.abc import Mapping
from enum import StrEnum


class Fault(StrEnum):
    """The cause of an error, and so what is done about it."""

    UNREACHABLE = "unreachable"
    """The connection or the server is gone: wait, connect again, repeat."""
    ENVIRONMENT = "environment"
    """The server cannot do it now: wait, repeat."""
    CONFIGURATION = "configuration"
    """The operator must correct it: refuse to start, exit code 2."""
    ROW = "row"
    """A row of the batch: find it, make it a dead letter, continue with the other rows."""
    BUG = "bug"
    """The program: no value and no server state may cause it."""


CLASSES: Mapping[str, tuple[Fault, str]] = {
    "00": (Fault.BUG, "no error at all"),
    "01": (Fault.BUG, "a warning, which raises nothing"),
    "02": (Fault.BUG, "no data: a warning"),
    "03": (Fault.BUG, "the statement is not complete yet"),
    "08": (Fault.UNREACHABLE, "connection"),
    "09": (Fault.ROW, "a trigger's action fails for a row"),
    "0A": (Fault.BUG, "the statement asks for what the server cannot do"),
    "0B": (Fault.BUG, "a transaction is begun wrongly"),
    "0F": (Fault.BUG, "a locator"),
    "0L": (Fault.BUG, "who grants"),
    "0P": (Fault.CONFIGURATION, "a role that is not there"),
    "0Z": (Fault.BUG, "diagnostics outside of a handler"),
    "10": (Fault.ROW, "an argument of XQuery"),
    "20": (Fault.ROW, "a CASE of a trigger knows no branch for a row"),
    "21": (Fault.ROW, "more rows than one where one is wanted"),
    "22": (Fault.ROW, "data, texts, times, JSON and XML among them"),
    "23": (Fault.ROW, "a constraint"),
    "24": (Fault.BUG, "the state of a cursor"),
    "25": (Fault.BUG, "the state of the transaction"),
    "26": (Fault.BUG, "a prepared statement that is not there"),
    "27": (Fault.BUG, "a trigger changed what the statement changes"),
    "28": (Fault.CONFIGURATION, "the user or the password"),
    "2B": (Fault.BUG, "privileges that others depend on"),
    "2D": (Fault.BUG, "a transaction is ended wrongly"),
    "2F": (Fault.BUG, "an SQL routine"),
    "34": (Fault.BUG, "the name of a cursor"),
    "38": (Fault.ROW, "a routine in another language fails for a row"),
    "39": (Fault.BUG, "how a routine is called"),
    "3B": (Fault.BUG, "a savepoint"),
    "3D": (Fault.CONFIGURATION, "a database that is not there"),
    "3F": (Fault.CONFIGURATION, "a schema that is not there"),
    "40": (Fault.ENVIRONMENT, "the transaction was rolled back for the sake of another"),
    "42": (Fault.BUG, "the statement or its access rule"),
    "44": (Fault.ROW, "the check option of a view"),
    "53": (Fault.ENVIRONMENT, "resources, a full disk among them"),
    "54": (Fault.ROW, "a limit of the server: an index row, a tuple, a nesting that is too large"),
    "55": (Fault.BUG, "an object is not in the state that the statement wants"),
    "57": (Fault.UNREACHABLE, "an operator stepped in: shutdown, cancellation, a time limit"),
    "58": (Fault.ENVIRONMENT, "the system beneath the server: a file, a disk"),
    "72": (Fault.ENVIRONMENT, "a snapshot that is too old"),
    "F0": (Fault.ENVIRONMENT, "the server's configuration file"),
    "HV": (Fault.BUG, "foreign data, of which the hub has none"),
    "P0": (Fault.ROW, "a trigger in PL/pgSQL refuses a row"),
    "XX": (Fault.BUG, "an internal error of the server"),
}
"""Every class of SQLSTATE: the cause, and what the class means."""

CODES: Mapping[str, tuple[Fault, str]] = {
    "25006": (Fault.ENVIRONMENT, "the server is read-only: a standby, after a change of roles"),
    "25P03": (Fault.UNREACHABLE, "the server ended the session: idle in a transaction"),
    "25P04": (Fault.UNREACHABLE, "the server ended the session: the transaction took too long"),
    "40002": (Fault.ROW, "a constraint at the end of the transaction"),
    "42501": (Fault.ENVIRONMENT, "a missing privilege: the administrator's to mend, nothing is refused for it"),
    "54011": (Fault.BUG, "too many columns: the statement"),
    "54023": (Fault.BUG, "too many arguments: the statement"),
    "55006": (Fault.ENVIRONMENT, "an object is in use"),
    "55P03": (Fault.ENVIRONMENT, "a lock is not free"),
    "XX001": (Fault.ENVIRONMENT, "stored data are damaged: no row of the batch is to blame"),
    "XX002": (Fault.ENVIRONMENT, "an index is damaged: no row of the batch is to blame"),
}
"""Codes whose cause differs from their class."""

PROTOCOL = "08P01"
"""Poolers send it when they end a connection (FATAL); the server sends it for a value whose binary form is truncated.
"""


def fault_of(state: str, is_fatal: bool = False) -> Fault:
    """Return the cause for a SQLSTATE; ``is_fatal``: the server ended the connection with it."""
    if state == PROTOCOL and not is_fatal:
        return Fault.ROW
    known = CODES.get(state) or CLASSES.get(state[:2])
    return known[0] if known else Fault.BUG
