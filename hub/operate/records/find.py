"""Find a thing by whatever an officer has: its code, another number of it, or the key itself.

Other numbers are aliases: they lead to the things that have them in some source's claim. Two things may have the same
number (of people ``hub.reconcile.rules.people.duplicates`` asks an officer about it), so all of them are found.
"""

import re
from collections.abc import Iterator
from functools import cache
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, select

from hub.model.declaration import Entity
from hub.operate.records.typed_key import keys_meant, may_be_code, typed_hash
from hub.warehouse.tables.entities import AspectTables, aspect_tables


def find_keys(connection: Connection, entity: Entity, text: str, secret: str) -> tuple[UUID, ...]:
    """Return the keys of the things of an entity that a text means, the likeliest first.

    Args:
        connection: of the warehouse; asked for aliases only.
        entity: whose things.
        text: 32 hexadecimal digits, with or without hyphens: a key; what fits the pattern of an alias: that; else the
            code of the entity, as ``keys_meant`` takes it.
        secret: of the keyed hash.

    Raises:
        ConfigError: the text can mean nothing of this entity.
    """
    is_alias = any(_aliases(entity, text))
    held = alias_keys(connection, entity, text) if is_alias else ()
    if is_alias and typed_hash(text) is None and not may_be_code(entity, text.strip()):
        return held
    return tuple(dict.fromkeys((*keys_meant(entity, text, secret), *held)))


def alias_keys(connection: Connection, entity: Entity, text: str) -> tuple[UUID, ...]:
    """Return the keys of the things of an entity that hold a text as an alias, in a claim that is not withdrawn."""
    number = {"number": text.strip()}
    return tuple(
        key
        for tables, field in _aliases(entity, text)
        for key in connection.execute(holders(tables, field), number).scalars()
    )


def _aliases(entity: Entity, text: str) -> Iterator[tuple[AspectTables, str]]:
    """Yield the fields that may hold a text as another number."""
    for aspect in entity.aspects:
        for alias in aspect.aliases:
            if re.fullmatch(alias.pattern, text.strip()):
                yield aspect_tables(aspect.subject), alias.field


@cache
def holders(tables: AspectTables, field: str) -> Select[UUID]:
    """Select the keys of things that hold the other number ``:number`` in a claim that is not withdrawn."""
    claim = tables.claim
    return (
        select(claim.c.key)
        .where(claim.c[field] == bindparam("number"), claim.c[field].is_not(None), ~claim.c.revoked)
        .distinct()
        .order_by(claim.c.key)
    )
