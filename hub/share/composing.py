"""Compose many records so that one that cannot be composed or encoded is found, and does not delay the others.

All keys are composed together. Only if that fails are they halved, each try after a savepoint, until the failing keys
are found.
"""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, ProgrammingError

from hub.model.errors import HubError, NothingComposedError, PoisonError
from hub.model.set_aside import Refusal, SetAside
from hub.warehouse.database import translated_errors

NOBODY_COMPOSED = 50
"""If this many keys were tried one by one and no record could be composed, the keys are not the cause."""


class Composes(Protocol):
    """Composes the records of one kind: golden records of an entity, or flags."""

    def records(self, connection: Connection, keys: Sequence[UUID]) -> dict[UUID, dict[str, Any] | None]:
        """Return each key's record by its fields; None: a tombstone."""

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return a record's bytes; raises PoisonError."""


@dataclass(frozen=True, slots=True)
class Composed:
    """Values by key (None: a tombstone), and why some keys have no value."""

    values: dict[UUID, bytes | None] = field(default_factory=dict, repr=False)
    refused: dict[UUID, Refusal] = field(default_factory=dict)


def compose_each(composer: Composes, connection: Connection, keys: Sequence[UUID]) -> Composed:
    """Compose and encode the records of some keys, in the caller's transaction.

    Raises:
        RetryableError: a server is unreachable.
        NothingComposedError: not a single record can be composed.
    """
    composed = Composed()
    _compose(composer, connection, keys, composed)
    return composed


def _compose(composer: Composes, connection: Connection, keys: Sequence[UUID], composed: Composed) -> None:
    try:
        with connection.begin_nested(), translated_errors("composing records"):
            found = composer.records(connection, keys)
    except Exception as error:
        # A fault in one record must not delay the others.
        if _is_everybodys(error):
            raise
        if len(keys) > 1:
            half = len(keys) // 2
            _compose(composer, connection, keys[:half], composed)
            _compose(composer, connection, keys[half:], composed)
            return
        composed.refused[keys[0]] = Refusal(SetAside.NOT_COMPOSED, _told(error))
        if not composed.values and len(composed.refused) >= NOBODY_COMPOSED:
            message = f"no record can be composed, {len(composed.refused)} were tried: {_told(error)}"
            raise NothingComposedError(message) from error
        return
    for key, record in found.items():
        _encode(composer, key, record, composed)


def _encode(composer: Composes, key: UUID, record: Mapping[str, Any] | None, composed: Composed) -> None:
    try:
        composed.values[key] = None if record is None else composer.encode(record)
    except PoisonError as error:
        composed.refused[key] = Refusal(SetAside.NOT_ENCODABLE, error.detail)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one record must not hold up the others
        composed.refused[key] = Refusal(SetAside.NOT_COMPOSED, _told(error))


def _is_everybodys(error: Exception) -> bool:
    """Tell whether an error concerns a server, the tables or the statement, and not a single record."""
    if isinstance(error, PoisonError):
        return False
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, HubError | ProgrammingError | MemoryError)


def _told(error: BaseException) -> str:
    """Return an error's type and place; its message may hold a value and is left out (I8)."""
    if isinstance(error, PoisonError):
        return error.detail
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return f"{type(error).__name__}{f' (SQLSTATE {state})' if state else ''}{where}"
