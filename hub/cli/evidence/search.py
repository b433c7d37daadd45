"""What ``hub audit search`` asks for: codes become keys, words become times."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection

from hub.cli.shared.context import located, warehouse
from hub.model.entities import ENTITIES, entity_named
from hub.model.errors import ConfigError
from hub.operate.actions import actor
from hub.operate.evidence.search import EvidenceFilter, EvidenceFound, search
from hub.operate.records.find import find_keys
from hub.operate.records.times import time_of
from hub.warehouse.database import translated_errors


def searched(
    asked: Mapping[str, str | None], times: tuple[str | None, str | None], limit: int, who: tuple[str | None, str]
) -> EvidenceFound:
    """Return what is found; ``who``: the officer's code, and why.

    Raises:
        ConfigError: the options do not fit together.
    """
    settings, places = located()
    since, until = (
        None if value is None else time_of(value, option) for value, option in zip(times, _TIMES, strict=True)
    )
    with (
        translated_errors("searching the evidence"),
        warehouse(settings, places, "hub audit").begin() as connection,
    ):
        keys = keys_asked(connection, asked["entity"], asked["key"], places.key_secret)
        wanted = EvidenceFilter(keys, asked["source"], asked["by"], asked["purpose"], since, until, limit)
        return search(connection, wanted, actor(who[0]), who[1])


_TIMES = ("--since", "--until")


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
