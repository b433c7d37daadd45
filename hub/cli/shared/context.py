"""What every command needs first: settings, endpoints, the policy's path, the warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # commands that open no warehouse import none of these
    from sqlalchemy import Connection, Engine

    from hub.config import Settings
    from hub.embedded.locate import Endpoints


def located() -> "tuple[Settings, Endpoints]":
    """Return the settings, and the addresses of Kafka and PostgreSQL.

    Raises:
        ConfigError, UnreachableError: see ``hub.config`` and ``hub.embedded.locate``.
    """
    from hub.config import load_settings
    from hub.embedded.locate import endpoints

    settings = load_settings()
    return settings, endpoints(settings)


_opened: "list[Engine]" = []


def warehouse(settings: "Settings", places: "Endpoints", application: str) -> "Engine":
    """Return an engine on the warehouse's schema; its connections are closed when the command ends."""
    from hub.warehouse.database import open_database

    engine = open_database(places.database_url, settings.database_schema, application)
    _opened.append(engine)
    return engine


class Opened(NamedTuple):
    """What most commands need: the settings, the addresses, and an engine on the warehouse."""

    settings: "Settings"
    places: "Endpoints"
    engine: "Engine"


def opened(application: str) -> Opened:
    """Return what most commands need; see ``located`` and ``warehouse``."""
    settings, places = located()
    return Opened(settings, places, warehouse(settings, places, application))


@contextmanager
def reading(what: str, application: str) -> "Iterator[Connection]":
    """Yield a connection to the warehouse; an error of the database says that it was met reading ``what``."""
    from hub.warehouse.database import translated_errors

    with translated_errors(f"reading {what}"), opened(application).engine.connect() as connection:
        yield connection


def close_warehouses() -> None:
    """Close the connections of every engine that ``warehouse`` has returned."""
    while _opened:
        _opened.pop().dispose()


def policy_path(settings: "Settings") -> Path:
    """Return the policy file: the one in the settings, else the demo's."""
    import hub.demo

    return settings.policy or Path(hub.demo.__file__).parent / "policy.toml"
