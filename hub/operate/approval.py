"""The second person proves, with their own credential, that they are not the person who prepared what they approve.

Of a credential only a salted scrypt hash is stored. Credentials never appear on a command line, in a log or in an
error. Wrong tries are counted. After ``MOST_TRIES`` the operator is locked. Tries with the same name run one after the
other.
"""

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, func, select, update

from hub.model.alerts import OPERATOR_LOCKED
from hub.model.errors import HubError
from hub.operate.actions import Action, note
from hub.warehouse.alerts import raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.letters import operator

REFUSED = "operators.refused"
MOST_TRIES = 5
"""After this many wrong tries in a row an operator may not approve until another operator unlocks them."""
COST = 2**15
_BLOCK, _PARALLEL, _SALT_BYTES = 8, 1, 16
_MEMORY = 128 * COST * _BLOCK * 2


class NotApprovedError(HubError):
    """The second person may not approve: unknown, disabled, without the right credential, or the same as the first."""

    code = "NOT_APPROVED"


@dataclass(frozen=True, slots=True)
class Second:
    """The second person, as they name themselves; the credential is not in the repr."""

    name: str
    credential: str = field(repr=False)


def is_same_person(one: str, other: str) -> bool:
    """Tell whether a reader would take two names for one: case, width, spaces and invisible letters do not count."""
    return _read(one) == _read(other)


def _read(name: str) -> str:
    letters = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in letters if letter.isalnum() or letter in "-._/@")


def check_second(engine: Engine, second: Second, first: str) -> None:
    """Make sure that the second person is who they say, may approve, and is not the first. Refusals are recorded.

    A person who gave somebody a credential may know it, so the holder cannot be that person's second.

    Raises:
        NotApprovedError: one of these does not hold.
    """
    why, do = None, WHO_MAY
    if is_same_person(second.name, first):
        why = f"{second.name} prepared it: another person must approve it"
        do = f"they give this command with --approved-by THEIR-NAME and their own credential; {WHO_MAY}"
    elif (row := proven(engine, second)) is None:
        # One answer for every reason: nobody may learn which names exist, existed or are locked.
        why = f"{second.name}: no operator of that name and credential may approve"
        do = f"{WHO_MAY}; `hub operators add NAME --reason TEXT --execute` lets a person approve"
    elif is_same_person(row.added_by, first):
        why = f"{first} gave {second.name} this credential and may know it: another person must approve it"
        own = f"`hub operators add {second.name} --approved-by {second.name} --reason TEXT --execute`"
        do = f"{WHO_MAY}; or {second.name} first sets a credential of their own: {own}"
    if why is not None:
        refuse(engine, first, second.name, why, do)


WHO_MAY = "`hub operators list` shows who may"


def refuse(engine: Engine, actor: str, second: str | None, why: str, do: str) -> NoReturn:
    """Record that something was not approved, and raise the error.

    Args:
        engine: of the warehouse.
        actor: who asked.
        second: who was to approve; None: nobody was named.
        why: the reason, recorded and shown.
        do: what to do about it, only shown.

    Raises:
        NotApprovedError: always.
    """
    with translated_errors("noting a refusal"), engine.begin() as connection:
        note(connection, Action(actor, REFUSED, why, detail={"second": second}))
    raise NotApprovedError(f"{why}: {do}")


def proven(engine: Engine, second: Second) -> Any:
    """Return the operator's row if the credential is right and they may approve; else None, and the try counts."""
    with translated_errors("reading operators"), engine.begin() as connection:
        row = connection.execute(select(operator).where(operator.c.name == second.name).with_for_update()).one_or_none()
        salt, cost = (row.salt, row.cost) if row is not None else (bytes(_SALT_BYTES), COST)
        is_right = hmac.compare_digest(_hash(second.credential, salt, cost), row.hash if row is not None else b"")
        if row is None or row.disabled_at is not None or row.locked_at is not None:
            return None
        if not is_right:
            _count_try(connection, second.name, row.failed_tries + 1)
            return None
        if row.failed_tries:
            connection.execute(update(operator).values(failed_tries=0).where(operator.c.name == second.name))
    return row


def _count_try(connection: Connection, name: str, tries: int) -> None:
    is_locked = tries >= MOST_TRIES
    values = {"failed_tries": tries, "last_failed_at": func.now()} | ({"locked_at": func.now()} if is_locked else {})
    connection.execute(update(operator).values(values).where(operator.c.name == name))
    if is_locked:
        raise_alert(connection, OPERATOR_LOCKED, name, f"{tries} wrong tries of the credential of {name}, in a row")


def hashed(credential: str) -> dict[str, Any]:
    """Return what is stored of a new credential: salt, hash, cost."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return {"salt": salt, "hash": _hash(credential, salt, COST), "cost": COST}


def _hash(credential: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(credential.encode(), salt=salt, n=cost, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY)
