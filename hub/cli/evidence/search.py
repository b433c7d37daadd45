"""What ``hub audit search`` asks for: codes become keys, words become times."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from hub.cli.shared.context import located, warehouse
from hub.cli.shared.options import Asker
from hub.model.entities import ENTITIES, entity_named
from hub.model.errors import ConfigError
from hub.operate.evidence.search import EvidenceFilter, EvidenceFound, search
from hub.operate.records.find import find_keys
from hub.operate.records.times import time_of
from hub.warehouse.database import translated_errors


@dataclass(frozen=True, slots=True)
class SearchChoice:
    """What the options ask for."""

    entity: str | None
    key: str | None
    source: str | None
    officer: str | None
    purpose: str | None
    about: str | None
    since: str | None
    until: str | None
    limit: int


def searched(choice: SearchChoice, asker: Asker) -> EvidenceFound:
    """Return what is found; who searched and why is recorded.

    Raises:
        ConfigError: the options do not fit together.
    """
    settings, places = located()
    since = None if choice.since is None else time_of(choice.since, "--since")
    until = None if choice.until is None else time_of(choice.until, "--until")
    with (
        translated_errors("searching the evidence"),
        warehouse(settings, places, "hub audit").begin() as connection,
    ):
        keys = keys_asked(connection, choice.entity, choice.key, places.key_secret)
        people = (choice.officer, choice.purpose, choice.about)
        wanted = EvidenceFilter(keys, choice.source, *people, since, until, choice.limit)
        return search(connection, wanted, asker.actor, asker.why("a search"))


def keys_asked(connection: Connection, entity: str | None, key: str | None, secret: str) -> tuple[UUID, ...]:
    """Return the keys that ``--entity`` and ``--key`` ask for, empty when neither is given.

    Raises:
        ConfigError: they name no key. A search without keys would find what is of others.
    """
    if key is None:
        if entity is not None:
            raise ConfigError(["--entity goes with --key"])
        return ()
    if entity is None:
        try:
            return (UUID(key),)
        except ValueError as error:
            raise ConfigError(["--key: is not a key of the hub; give a code together with --entity"]) from error
    if entity not in {of.name for of in ENTITIES}:
        raise ConfigError([f"--entity: one of {', '.join(of.name for of in ENTITIES)}"])
    keys = find_keys(connection, entity_named(entity), key, secret)
    if not keys:
        raise ConfigError([f"--key: the hub knows no {entity_named(entity).label} of this number"])
    return keys
