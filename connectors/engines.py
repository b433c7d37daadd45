"""Open a database by its URL: find its driver, keep its values at full width, explain mistakes in the URL."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from connectors.raw import mysql, postgresql, sqlite
from connectors.raw.operators import allow_operators
from hub.model.errors import ConfigError

CONNECT_TIMEOUT_S = 10

_DRIVERS = {
    "postgresql": {"psycopg": ""},
    "sqlite": {"pysqlite": ""},
    "mysql": {"pymysql": "hub[mysql]"},
    "mariadb": {"pymysql": "hub[mysql]"},
    "oracle": {"oracledb": "hub[oracle]"},
    "mssql": {"pyodbc": "hub[sqlserver]", "mssqlpython": "mssql-python"},
}
"""By database: the drivers that a URL may name, and what installs each; the first is used if the URL names none."""


def open_engine(url: str) -> Engine:
    """Return an engine for a database; it does not connect yet.

    Raises:
        ConfigError: not a database URL, an unknown database or driver, or a driver that is not installed.
    """
    known = _url(url)
    allow_operators()
    options: dict[str, Any] = {"pool_size": 2}
    if known.get_backend_name() == "postgresql":
        arguments: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "hub connector"}
        if "client_encoding" not in known.query:
            arguments["client_encoding"] = "utf8"  # SQLAlchemy cannot read its first answers in SQL_ASCII
        options |= {"connect_args": arguments, "pool_reset_on_return": "rollback"}
    if known.get_backend_name() == "sqlite":
        options = {"poolclass": NullPool}
    try:
        engine = create_engine(known, hide_parameters=True, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigError([_missing(known, error)]) from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigError(["the database's URL has an option that its driver does not know"]) from error
    _tell_wrong_options(engine)
    return engine


def open_source(url: str) -> Engine:
    """Return an engine whose connections give values as ``connectors.raw`` says; raises as ``open_engine`` does."""
    engine = open_engine(url)
    prepare = _preparation(engine)
    if prepare is not None:
        # runs before SQLAlchemy asks the server anything: it cannot read the answers in every encoding
        event.listen(engine, "connect", lambda connection, _: prepare(connection), insert=True)
    # a cursor or a connection that is gone is told by the error itself; the pool would add its traceback
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    if engine.driver == "psycopg":
        event.listen(engine, "handle_error", _close_lost_cursor)
    return engine


def _close_lost_cursor(error: ExceptionContext) -> None:
    """Close a lost connection, then its cursor: a cursor of the server would ask the server to close it."""
    context = error.execution_context
    if error.is_disconnect and context is not None and context.cursor is not None:
        with suppress(Exception):
            context.cursor.connection.close()
            context.cursor.close()


def _preparation(engine: Engine) -> Callable[[Any], None] | None:
    if engine.driver == "psycopg":
        is_encoding_given = "client_encoding" in engine.url.query
        return lambda connection: postgresql.prepare(connection, is_encoding_given)
    return {"pysqlite": sqlite.prepare, "pymysql": mysql.prepare}.get(engine.driver)


def _url(text: str) -> URL:
    """Return the URL with its driver named."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            ["this is not a database URL; one looks like postgresql+psycopg://user:...@host/name"]
        ) from error
    backend, _, driver = url.drivername.partition("+")
    drivers = _DRIVERS.get("postgresql" if backend == "postgres" else backend)
    if drivers is None:
        raise ConfigError([f"unknown database {backend!r} in the URL; known are {', '.join(_DRIVERS)}"])
    if driver and driver not in drivers:
        raise ConfigError([f"unknown driver {driver!r} in the URL; for {backend} use {', '.join(drivers)}"])
    backend = "postgresql" if backend == "postgres" else backend
    return url.set(drivername=f"{backend}+{driver or next(iter(drivers))}")


def _missing(url: URL, error: ImportError | NoSuchModuleError) -> str:
    backend, driver = url.get_backend_name(), url.get_driver_name()
    extra = _DRIVERS[backend].get(driver) or "hub"
    if isinstance(error, ModuleNotFoundError | NoSuchModuleError):
        return f"the driver {driver} of {backend} is not installed: pip install '{extra}'"
    return f"the driver {driver} of {backend} does not load: {error}"


def _tell_wrong_options(engine: Engine) -> None:
    """Say that the URL's options are wrong, where the driver's own error does not name them."""

    def connect(dialect: Any, _: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except (TypeError, dialect.loaded_dbapi.ProgrammingError) as error:
            if getattr(error, "sqlstate", None) is None and _is_about_options(error):
                given = ", ".join(sorted(engine.url.query)) or "none"
                raise ConfigError([f"the driver {engine.driver} refuses the URL's options ({given})"]) from error
            raise

    event.listen(engine, "do_connect", connect)


def _is_about_options(error: Exception) -> bool:
    return isinstance(error, TypeError) or "connection option" in str(error)
