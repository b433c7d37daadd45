"""The rule of an entity's key: the rule of the kind of its first key field."""

from functools import cache

from hub.codec.catalogue import load_catalogue
from hub.model.declaration import Entity
from hub.model.values.kinds import KINDS


@cache
def key_pattern(entity: Entity) -> str | None:
    """Return what a text must match to be the first field of an entity's key; None if it has no rule."""
    kind = load_catalogue().latest(entity.aspects[0].subject).field(entity.key[0]).value_kind
    return KINDS[kind].pattern if kind in KINDS else None
