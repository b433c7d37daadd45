"""Find a person by whatever number an officer has: a PIN, an older number, or the key itself.

Older numbers are aliases: they lead to the person who has them in some source's claim. Two people may have the same
number (``hub.reconcile.rules.people.duplicates`` asks an officer about it), so all of them are found.
"""

from contextlib import suppress
from functools import cache
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, select

from hub.model.entities import CITIZEN
from hub.model.keys import as_uuid, entity_key
from hub.model.pin import CMND_DIGITS, SI_NUMBER_DIGITS
from hub.warehouse.tables.entities import AspectTables, aspect_tables

_KEY_DIGITS = 32
_ALIASES = {
    CMND_DIGITS: ("citizen.changed", "cmnd9"),
    SI_NUMBER_DIGITS: ("health_insurance.linked", "si_number_legacy"),
}


def find_person(connection: Connection, text: str, secret: str) -> tuple[UUID, ...]:
    """Return the keys of the citizens that a text may mean, the likeliest first.

    Args:
        connection: of the warehouse; used for older numbers only.
        text: 32 hexadecimal digits, with or without hyphens: a key; 9 digits: a CMND number; 10 digits: a number of
            social insurance; anything else: a PIN.
        secret: of the keyed hash.
    """
    meant = text.strip()
    if len(meant.replace("-", "")) == _KEY_DIGITS:
        with suppress(ValueError):
            return (UUID(meant),)
    if meant.isascii() and meant.isdigit() and len(meant) in _ALIASES:
        subject, field = _ALIASES[len(meant)]
        return tuple(connection.execute(holders(aspect_tables(subject), field), {"number": meant}).scalars())
    return (as_uuid(entity_key(secret, CITIZEN.name, [meant])),)


@cache
def holders(tables: AspectTables, field: str) -> Select[UUID]:
    """Select the citizens who have the older number ``:number`` in a claim that is not withdrawn."""
    claim = tables.claim
    return (
        select(claim.c.key)
        .where(claim.c[field] == bindparam("number"), claim.c[field].is_not(None), ~claim.c.revoked)
        .distinct()
        .order_by(claim.c.key)
    )
