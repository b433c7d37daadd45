"""What every command needs first: settings, endpoints, the policy's path, the warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine

import hub.demo
from hub.config import Settings, load_settings
from hub.embedded.locate import Endpoints, endpoints
from hub.warehouse.database import open_database, translated_errors


def located() -> tuple[Settings, Endpoints]:
    """Return the settings, and the addresses of Kafka and PostgreSQL.

    Raises:
        ConfigError, UnreachableError: see ``hub.config`` and ``hub.embedded.locate``.
    """
    settings = load_settings()
    return settings, endpoints(settings)


_opened: list[Engine] = []


def warehouse(settings: Settings, places: Endpoints, application: str) -> Engine:
    """Return an engine on the warehouse's schema; its connections are closed when the command ends."""
    engine = open_database(places.database_url, settings.database_schema, application)
    _opened.append(engine)
    return engine


class Opened(NamedTuple):
    """What most commands need: the settings, the addresses, and an engine on the warehouse."""

    settings: Settings
    places: Endpoints
    engine: Engine


def opened(application: str) -> Opened:
    """Return what most commands need; see ``located`` and ``warehouse``."""
    settings, places = located()
    return Opened(settings, places, warehouse(settings, places, application))


@contextmanager
def reading(what: str, application: str) -> Iterator[Connection]:
    """Yield a connection to the warehouse; an error of the database says that it was met reading ``what``."""
    with translated_errors(f"reading {what}"), opened(application).engine.connect() as connection:
        yield connection


def close_warehouses() -> None:
    """Close the connections of every engine that ``warehouse`` has returned."""
    while _opened:
        _opened.pop().dispose()


def policy_path(settings: Settings) -> Path:
    """Return the policy file: the one in the settings, else the demo's."""
    return settings.policy or Path(hub.demo.__file__).parent / "policy.toml"
