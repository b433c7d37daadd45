"""The key of an entity: a keyed hash, so that no personal number is in a key, an index or a log (I8).

``key = first 128 bits of HMAC-SHA-256(secret, "<entity>:<part>|<part>...")`` over UTF-8. It is the Kafka key (16 raw
bytes), the primary key in the warehouse (``uuid``) and the value in the audit log. Connectors and hub share the secret.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NewType
from uuid import UUID

EntityKey = NewType("EntityKey", bytes)
"""16 bytes."""

SEPARATOR = "|"
KEY_BYTES = 16
_BLOCK_BYTES = 64


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
    inner, outer = _keyed_halves(secret)
    inner, outer = inner.copy(), outer.copy()
    inner.update(key_text(entity, parts).encode())
    outer.update(inner.digest())
    return EntityKey(outer.digest()[:KEY_BYTES])


@lru_cache(maxsize=8)
def _keyed_halves(secret: str) -> tuple[Any, Any]:
    """Return both inner and outer hash of HMAC-SHA-256 (RFC 2104) with the secret: further keys cost a third."""
    key = secret.encode()
    if len(key) > _BLOCK_BYTES:
        key = sha256(key).digest()
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in padded)), sha256(bytes(byte ^ 0x5C for byte in padded))


def as_uuid(key: bytes) -> UUID:
    """Return the key in the form of the warehouse and the operator's screens."""
    return UUID(bytes=key)
