"""Where Kafka and PostgreSQL are: the environment's settings first, else the running embedded engine."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hub.config import Settings
from hub.embedded.processes import is_running
from hub.embedded.state import load_secrets, load_state
from hub.model.errors import ConfigError, UnreachableError

KAFKA = "kafka"
POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Everything that a process needs to reach the hub's servers."""

    bootstrap: str
    database_url: str = field(repr=False)
    key_secret: str = field(repr=False)


def data_folder(settings: Settings) -> Path:
    """Return the engine's folder as an absolute path: its servers have a different working folder."""
    return settings.data_dir.expanduser().resolve()


def embedded_parts(settings: Settings) -> tuple[str, ...]:
    """Return the names of the servers that the engine must run: those that the settings do not place elsewhere."""
    wanted = {POSTGRES: settings.database_url is None, KAFKA: settings.kafka_bootstrap is None}
    return tuple(name for name, is_embedded in wanted.items() if is_embedded)


def endpoints(settings: Settings) -> Endpoints:
    """Return the endpoints.

    A part of a running engine that is down at the moment (stopped on purpose, or restarting) is still located: it comes
    back at the same address.

    Raises:
        UnreachableError: a part is neither set nor run by a started engine.
        ConfigError: the servers are elsewhere and no key secret is set.
    """
    data_dir = data_folder(settings)
    state = load_state(data_dir)
    embedded = embedded_parts(settings)
    is_alive = state.is_up and any(is_running(state.parts[name].process) for name in embedded if name in state.parts)
    if embedded and not (is_alive and all(name in state.parts for name in embedded)):
        raise UnreachableError("nothing is running; start it with `hub up`")
    made = load_secrets(data_dir)
    key_secret = settings.key_secret or (made.key_secret if made is not None else None)
    if key_secret is None:
        raise ConfigError(["HUB_KEY_SECRET: required when Kafka and PostgreSQL are not the embedded ones"])
    database_url = settings.database_url
    if database_url is None:
        database_url = with_password(state.parts[POSTGRES].url, made.postgres_password if made is not None else "")
    return Endpoints(settings.kafka_bootstrap or state.parts[KAFKA].url, database_url, key_secret)


def kafka_endpoints(settings: Settings) -> Endpoints:
    """Return the endpoints for a process that needs no warehouse, such as a connector at its source.

    ``HUB_KAFKA_BOOTSTRAP`` and ``HUB_KEY_SECRET`` are enough; then ``database_url`` is empty, unless it is set too.

    Raises:
        UnreachableError, ConfigError: see ``endpoints``.
    """
    if settings.kafka_bootstrap is None or settings.database_url is not None:
        return endpoints(settings)
    data_dir = data_folder(settings)
    made = load_secrets(data_dir)
    key_secret = settings.key_secret or (made.key_secret if made is not None else None)
    if key_secret is None:
        raise ConfigError(["HUB_KEY_SECRET: required when Kafka is not the embedded one: it must be the hub's own"])
    state = load_state(data_dir)
    if POSTGRES in state.parts and is_running(state.parts[POSTGRES].process):
        return endpoints(settings)
    return Endpoints(settings.kafka_bootstrap, "", key_secret)


def with_password(url: str, password: str) -> str:
    """Return the URL with a password after its user."""
    split = urlsplit(url)
    return split._replace(netloc=f"{split.username}:{password}@{split.hostname}:{split.port}").geturl()


def with_database(url: str, name: str) -> str:
    """Return the URL with another database's name."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
