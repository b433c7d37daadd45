"""People who may approve what another has prepared: each proves to be that person with a credential of their own.

Of a credential only a salted scrypt hash is kept. Credentials never stand on a command line, in a log or in an error.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine, func, insert, select, update

from hub.model.errors import ConfigError, HubError
from hub.operate.actions import Action, note
from hub.warehouse.database import translated_errors
from hub.warehouse.letter_tables import operator

ADD = "operators.add"
DISABLE = "operators.disable"
REFUSED = "operators.refused"
LEAST_LENGTH = 12
COST = 2**15
_BLOCK, _PARALLEL, _SALT_BYTES = 8, 1, 16
_MEMORY = 128 * COST * _BLOCK * 2


class NotApprovedError(HubError):
    """The second person is not who is needed: unknown, disabled, without the credential, or the first one again."""

    code = "NOT_APPROVED"


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who may approve. ``disabled_at`` None: still."""

    name: str
    added_at: datetime
    added_by: str
    disabled_at: datetime | None
    disabled_by: str | None


@dataclass(frozen=True, slots=True)
class Second:
    """The second person, as who they say they are; the credential is in no repr."""

    name: str
    credential: str = field(repr=False)


def add_operator(engine: Engine, name: str, credential: str, actor: str, purpose: str) -> None:
    """Let a person approve from now on; a person who is there already gets the new credential and is enabled.

    Raises:
        ConfigError: the name is empty or the credential too short.
    """
    problems = [] if name.strip() else ["a name must be given"]
    if len(credential) < LEAST_LENGTH:
        problems.append(f"a credential has {LEAST_LENGTH} characters or more")
    if problems:
        raise ConfigError(problems)
    salt = secrets.token_bytes(_SALT_BYTES)
    values = {"salt": salt, "hash": _hash(credential, salt, COST), "cost": COST, "added_by": actor}
    with translated_errors("adding an operator"), engine.begin() as connection:
        known = connection.execute(
            update(operator)
            .values(**values, added_at=func.now(), disabled_at=None, disabled_by=None)
            .where(operator.c.name == name)
        ).rowcount
        if not known:
            connection.execute(insert(operator).values(name=name, **values))
        note(connection, Action(actor, ADD, purpose, detail={"operator": name, "again": bool(known)}))


def disable_operator(engine: Engine, name: str, actor: str, purpose: str) -> None:
    """Take a person's right to approve away; what they approved stands.

    Raises:
        ConfigError: there is no such operator, or they are disabled.
    """
    with translated_errors("disabling an operator"), engine.begin() as connection:
        gone = connection.execute(
            update(operator)
            .values(disabled_at=func.now(), disabled_by=actor)
            .where(operator.c.name == name, operator.c.disabled_at.is_(None))
        ).rowcount
        if not gone:
            raise ConfigError([f"{name}: no operator of that name may approve; see `hub operators list`"])
        note(connection, Action(actor, DISABLE, purpose, detail={"operator": name}))


def list_operators(connection: Connection) -> list[Operator]:
    """Return everybody who may or might approve, by name."""
    of = operator.c
    rows = connection.execute(
        select(of.name, of.added_at, of.added_by, of.disabled_at, of.disabled_by).order_by(of.name)
    )
    return [Operator(*row) for row in rows]


def check_second(engine: Engine, second: Second, first: str) -> None:
    """Make sure that the second person is who they say, may approve, and is not the first. Refusals are noted.

    Raises:
        NotApprovedError: they are not.
    """
    why = None
    if second.name.strip().casefold() == first.strip().casefold():
        why = f"{second.name} prepared it: another person must approve it"
    else:
        with translated_errors("reading operators"), engine.connect() as connection:
            row = connection.execute(select(operator).where(operator.c.name == second.name)).one_or_none()
        salt, cost = (row.salt, row.cost) if row is not None else (bytes(_SALT_BYTES), COST)
        is_right = hmac.compare_digest(_hash(second.credential, salt, cost), row.hash if row is not None else b"")
        if row is None or row.disabled_at is not None or not is_right:
            # One answer for all three: which names there are, or were, is nobody's business.
            why = f"{second.name}: no operator of that name and credential may approve"
    if why is None:
        return
    with translated_errors("noting a refusal"), engine.begin() as connection:
        note(connection, Action(first, REFUSED, why, detail={"second": second.name}))
    raise NotApprovedError(why)


def _hash(credential: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(credential.encode(), salt=salt, n=cost, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY)
