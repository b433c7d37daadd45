"""The key of an entity: a keyed hash, so that no personal number stands in a key, an index or a log (I8).

``key = first 128 bits of HMAC-SHA-256(secret, "<entity>:<part>|<part>...")`` over UTF-8. It is the Kafka key (16 raw
bytes), the primary key in the warehouse (``uuid``) and what the audit log shows. Connectors and hub share the secret.
"""

import hmac
from collections.abc import Sequence
from typing import NewType
from uuid import UUID

EntityKey = NewType("EntityKey", bytes)
"""16 bytes."""

SEPARATOR = "|"
KEY_BYTES = 16


def key_text(entity: str, parts: Sequence[str]) -> str:
    """Return the text that is hashed, e.g. ``citizen:001299000123`` or ``admin_unit:GSO_2025|00004``."""
    return f"{entity}:{SEPARATOR.join(parts)}"


def entity_key(secret: str, entity: str, parts: Sequence[str]) -> EntityKey:
    """Return the 16-byte key of an entity.

    Args:
        secret: the hub's key secret; printable ASCII, shared by hub and connectors.
        entity: the entity's name, e.g. ``citizen``.
        parts: the values of the entity's key fields, in declared order.
    """
    return EntityKey(hmac.digest(secret.encode(), key_text(entity, parts).encode(), "sha256")[:KEY_BYTES])


def as_uuid(key: bytes) -> UUID:
    """Return the key as the warehouse and the operator's screens show it."""
    return UUID(bytes=key)
