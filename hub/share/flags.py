"""Compose the records of open flags for the portal: what is doubted and what caused the doubt, by keys only."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.encode import Encoder
from hub.topology import FLAG_RECORDS
from hub.warehouse.tables.people import flag


class FlagComposer:
    """Composes and encodes open flags; a closed flag is a tombstone."""

    def __init__(self, secret: str) -> None:
        self._encoder = Encoder(f"{FLAG_RECORDS}.record", secret)

    def compose(self, connection: Connection, keys: Sequence[UUID]) -> dict[UUID, bytes | None]:
        """Return each flag's encoded record, or None if it is no longer open; raises PoisonError."""
        found = self.records(connection, keys)
        return {key: None if record is None else self.encode(record) for key, record in found.items()}

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return one record's framed bytes; raises PoisonError."""
        return self._encoder.encode(record)

    def records(self, connection: Connection, keys: Sequence[UUID]) -> dict[UUID, dict[str, Any] | None]:
        """Return each flag's record by its fields, or None if it is no longer open."""
        rows = connection.execute(open_flags(), {"keys": list(keys)}).mappings()
        found = {row["key"]: dict(row) for row in rows}
        return {key: found.get(key) for key in keys}


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
