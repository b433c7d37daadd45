"""Compose many records so that one that cannot be composed or encoded is found, and does not delay the others.

All keys are composed together. Only if that fails are they halved, each try after a savepoint, until the failing keys
are found.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, ProgrammingError

from hub.codec.columns import BYTES
from hub.model.errors import HubError, NothingComposedError, PoisonError
from hub.model.set_aside import Refusal, SetAside
from hub.share.columns.records import Keys, Records, keys_array, uuids_of
from hub.warehouse.database import translated_errors

NOBODY_COMPOSED = 50
"""If this many keys were tried one by one and no record could be composed, the keys are not the cause."""


class Composes(Protocol):
    """Composes the records of one kind: golden records of an entity, or flags."""

    def records(self, connection: Connection, keys: Keys) -> Records:
        """Return the record of each key."""

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return a record's bytes; raises PoisonError."""


@dataclass(slots=True)
class Composed:
    """Keys and values in parts (a value that is null: a tombstone), and why some keys have no value."""

    parts: list[tuple[pa.Array, pa.Array]] = field(default_factory=list, repr=False)
    refused: dict[UUID, Refusal] = field(default_factory=dict)

    @property
    def values(self) -> dict[UUID, bytes | None]:
        """The values by key."""
        return {
            key: value
            for keys, values in self.parts
            for key, value in zip(uuids_of(keys), values.to_pylist(), strict=True)
        }

    @property
    def is_any(self) -> bool:
        """Whether a record was composed."""
        return any(len(keys) for keys, _ in self.parts)


def compose_each(composer: Composes, connection: Connection, keys: Keys) -> Composed:
    """Compose and encode the records of some keys, in the caller's transaction.

    Raises:
        RetryableError: a server is unreachable.
        NothingComposedError: not a single record can be composed.
    """
    composed = Composed()
    _compose(composer, connection, keys_array(keys), composed)
    return composed


def _compose(composer: Composes, connection: Connection, keys: pa.Array, composed: Composed) -> None:
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
        composed.refused[UUID(bytes=keys[0].as_py())] = Refusal(SetAside.NOT_COMPOSED, _told(error))
        if not composed.is_any and len(composed.refused) >= NOBODY_COMPOSED:
            message = f"no record can be composed, {len(composed.refused)} were tried: {_told(error)}"
            raise NothingComposedError(message) from error
        return
    _add(composer, found, composed)


def _add(composer: Composes, found: Records, composed: Composed) -> None:
    """Add what was composed; what the schema refuses goes to the encoder of single records, which says why."""
    if not found.refused:
        composed.parts.append((found.keys, found.values))
        return
    refused = pa.array(found.refused, pa.int64())
    is_refused = pc.is_in(pa.array(range(len(found.keys)), pa.int64()), value_set=refused)
    composed.parts.append((found.keys.filter(pc.invert(is_refused)), found.values.filter(pc.invert(is_refused))))
    for place in found.refused:
        key = found.keys[place].as_py()
        try:
            value = composer.encode(found.one(place))
        except PoisonError as error:
            composed.refused[UUID(bytes=key)] = Refusal(SetAside.NOT_ENCODABLE, error.detail)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one record must not hold up the others
            composed.refused[UUID(bytes=key)] = Refusal(SetAside.NOT_COMPOSED, _told(error))
        else:
            composed.parts.append((pa.array([key], BYTES), pa.array([value], BYTES)))


def _is_everybodys(error: Exception) -> bool:
    """Tell whether an error concerns a server, the tables or the statement, and not a single record."""
    if isinstance(error, PoisonError):
        return False
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, HubError | ProgrammingError | psycopg.ProgrammingError | MemoryError)


def _told(error: BaseException) -> str:
    """Return an error's type and place; its message may hold a value and is left out (I8)."""
    if isinstance(error, PoisonError):
        return error.detail
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return f"{type(error).__name__}{f' (SQLSTATE {state})' if state else ''}{where}"
