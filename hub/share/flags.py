"""Compose the records of open flags for the portal: what is doubted and what caused the doubt, by keys only."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

import pyarrow.compute as pc
from sqlalchemy import Connection, Select, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.encode import Encoder
from hub.share.columns.records import Keys, RecordColumns, Records, keys_array
from hub.topology import FLAG_RECORDS
from hub.warehouse.fetch import fetch_columns
from hub.warehouse.tables.people import flag


class FlagComposer:
    """Composes and encodes open flags; a closed flag is a tombstone."""

    def __init__(self, secret: str) -> None:
        self._encoder = Encoder(f"{FLAG_RECORDS}.record", secret)
        self._whole = RecordColumns(self._encoder.version)

    def compose(self, connection: Connection, keys: Keys) -> dict[UUID, bytes | None]:
        """Return each flag's encoded record, or None if it is no longer open; raises PoisonError."""
        return self.records(connection, keys).by_key(self.encode)

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return one record's framed bytes; raises PoisonError."""
        return self._encoder.encode(record)

    def records(self, connection: Connection, keys: Keys) -> Records:
        """Return each flag's record, or null if it is no longer open."""
        keys = keys_array(keys)
        found = fetch_columns(connection, open_flags(), {"keys": keys})
        places = pc.index_in(keys, value_set=found["key"])
        columns = {name: column.take(places) for name, column in found.items()}
        values, refused = self._whole.encode(places.is_valid(), columns | {"key": keys})
        return Records(keys, values, refused, lambda place: {name: columns[name][place].as_py() for name in columns})


@cache
def open_flags() -> Select[Any]:
    """Select the open flags among ``:keys``, with the fields of their record."""
    return select(
        flag.c.id.label("key"),
        flag.c.flag,
        flag.c.entity,
        flag.c.aspect,
        flag.c.key.label("subject_key"),
        flag.c.part,
        flag.c.cause_key,
        flag.c.opened_at.label("since"),
    ).where(flag.c.id == func.any(bindparam("keys", type_=ARRAY(Uuid))), flag.c.closed_at.is_(None))
