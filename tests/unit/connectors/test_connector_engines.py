"""A database's URL: what cannot be opened is told as configuration, with what to do; no part of the URL is shown."""

import builtins
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from connectors.engines import open_source
from hub.model.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("mysql://reader:secret@host/x", "pymysql", "hub[mysql]"),
        ("mariadb+pymysql://reader:secret@host/x", "pymysql", "hub[mysql]"),
        ("oracle://reader:secret@host/x", "oracledb", "hub[oracle]"),
        ("mssql+pyodbc://reader:secret@host/x", "pyodbc", "hub[sqlserver]"),
        ("mssql+mssqlpython://reader:secret@host/x", "mssql_python", "mssql-python"),
    ],
)
def test_missing_driver_is_told_with_what_to_install(
    url: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == driver:
            raise ModuleNotFoundError(f"No module named {driver!r}")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError) as caught:
        open_source(url)
    assert f"pip install '{extra}'" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "db2://h/x", "postgresql+psycopg2://h/x", "mysql+aiomysql://h/x", "postgresql://h:port/x", "://"],
)
def test_url_that_cannot_be_opened_is_configuration(url: str) -> None:
    with pytest.raises(ConfigError):
        open_source(url)


def test_option_that_the_driver_does_not_know_is_configuration() -> None:
    with pytest.raises(ConfigError, match="options"):
        open_source("postgresql+psycopg://reader@127.0.0.1:1/x?nonsense=1").connect()


@pytest.mark.parametrize(
    ("said", "sqlstate"), [("the file is busy", None), ("FATAL: this connection option is not for you", "42501")]
)
def test_other_error_of_connecting_is_not_said_to_be_about_the_options(
    said: str, sqlstate: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        error = psycopg.ProgrammingError(said)
        error.sqlstate = sqlstate
        raise error

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(ProgrammingError, match=said):
        open_source("postgresql+psycopg://reader@127.0.0.1:1/x").connect()
