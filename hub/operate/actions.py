"""Record in the warehouse what people did with the hub's commands: who, what, why. Rows are only added."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from hub.model.errors import ConfigError
from hub.warehouse.tables.core import action

UNMASK = "unmask"
"""Somebody saw personal and sensitive values of a key."""


@dataclass(frozen=True, slots=True)
class By:
    """Who does something, and why, without personal data."""

    actor: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody did. It contains no personal values.

    Fields:
        actor: code of the officer, or user name of the operating system.
        name: what was done, e.g. ``unmask``.
        purpose: why, in the actor's words.
        entity, key: the thing it was done to, if it was one thing.
        detail: other facts to keep.
    """

    actor: str
    name: str
    purpose: str
    entity: str | None = None
    key: UUID | None = None
    detail: Mapping[str, Any] | None = None


def note(connection: Connection, done: Action) -> int:
    """Write the row in the caller's transaction; return its number.

    Raises:
        ConfigError: the purpose or the actor is missing.
    """
    if not done.purpose.strip() or not done.actor.strip():
        raise ConfigError([f"{done.name}: say who does it, and why"])
    values = {
        "actor": done.actor,
        "action": done.name,
        "purpose": done.purpose,
        "entity": done.entity,
        "key": done.key,
        "detail": None if done.detail is None else dict(done.detail),
    }
    return int(connection.execute(insert(action).values(**values).returning(action.c.id)).scalar_one())


def actor(officer: str | None) -> str:
    """Return who acts: the officer's code if given, else the user of the operating system.

    Raises:
        ConfigError: no officer is given and the user has no name.
    """
    if officer:
        return officer
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise ConfigError(["this user has no name: say who acts with --officer"]) from error
