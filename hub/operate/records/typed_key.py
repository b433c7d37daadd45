"""From the text that an officer types to the key of a thing: its code, or the key itself."""

from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

from hub.model.declaration import Entity
from hub.model.keys import as_uuid, entity_key


def keys_meant(entity: Entity, who: str, secret: str) -> tuple[UUID, ...]:
    """Return the keys that a text can mean, the likeliest first: a key as it is, else the code's keyed hash.

    Args:
        entity: whose key; its key is one field.
        who: 32 hexadecimal digits, with or without hyphens, or a code (PIN, dossier code, ...).
        secret: of the keyed hash.
    """
    return tuple(_meant(entity, who.strip(), secret))


def _meant(entity: Entity, who: str, secret: str) -> Iterable[UUID]:
    if len(who.replace("-", "")) == 32:
        with suppress(ValueError):
            yield UUID(who)
    yield as_uuid(entity_key(secret, entity.name, [who]))
