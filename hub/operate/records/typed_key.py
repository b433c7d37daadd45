"""From the text that an officer types to the key of a thing: its code, or the key itself."""

import re
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

from hub.codec.key_rules import key_pattern
from hub.model.declaration import Entity
from hub.model.errors import ConfigError
from hub.model.keys import as_uuid, entity_key

_KEY_DIGITS = 32
_BETWEEN = "/"
"""Separates the fields of a key that has several fields."""


def keys_meant(entity: Entity, who: str, secret: str) -> tuple[UUID, ...]:
    """Return the keys that a text can mean, the likeliest first: a key as it is, else the keyed hash of the code.

    Args:
        entity: whose key.
        who: 32 hexadecimal digits, with or without hyphens, or a code (PIN, dossier code, ...); several fields of
            a key are given in order, separated by ``/``.
        secret: of the keyed hash.

    Raises:
        ConfigError: the key has several fields and the text does not.
    """
    found = tuple(_meant(entity, who.strip(), secret))
    if not found:
        raise ConfigError([f"the key of a {entity.label} has several fields: write {written_key(entity)}"])
    return found


def may_be_key(entity: Entity, who: str) -> bool:
    """Tell whether a text can mean a key of an entity."""
    return any(_meant(entity, who.strip(), ""))


def typed_hash(who: str) -> UUID | None:
    """Return a text as a key: 32 hexadecimal digits, with or without hyphens; None if it is not a key."""
    meant = who.strip()
    if len(meant.replace("-", "")) == _KEY_DIGITS:
        with suppress(ValueError):
            return UUID(meant)
    return None


def written_key(entity: Entity) -> str:
    """Return how a code of an entity is written: ``PLATE``, ``MAKER/MODEL_CODE``."""
    return _BETWEEN.join(name.upper() for name in entity.key)


def may_be_code(entity: Entity, text: str) -> bool:
    """Tell whether the rule of the key's first field accepts a text: no claim contains a text that it refuses."""
    pattern = key_pattern(entity)
    return pattern is None or re.fullmatch(pattern, text) is not None


def _meant(entity: Entity, who: str, secret: str) -> Iterator[UUID]:
    key = typed_hash(who)
    if key is not None:
        yield key
    parts = who.split(_BETWEEN) if len(entity.key) > 1 else [who]
    if len(parts) == len(entity.key) and (key is None or may_be_code(entity, parts[0])):
        yield as_uuid(entity_key(secret, entity.name, parts))
