"""The table that the sink and the newest-row job fill: one row per person, the newest event's fields.

Both get the same table, with the column types that the sink itself chooses for these events.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Date, Engine, Integer, LargeBinary, MetaData, Table, Text, func, select
from sqlalchemy.types import TypeEngine

from hub.codec.catalogue import load_catalogue
from hub.codec.fields import FieldKind
from tests.bench.peers.topic import Filled
from tests.bench.support.events import SUBJECT

KEY = "pin"
NAME = "citizen"
FILLFACTOR = 85
"""Room for a row's next version on its page, as the hub's own tables have it."""

_ID_BYTES = 16
_TYPES: dict[FieldKind, TypeEngine[Any]] = {
    FieldKind.UUID: LargeBinary(),
    FieldKind.INT: Integer(),
    FieldKind.LONG: BigInteger(),
    FieldKind.TIMESTAMP: BigInteger(),
    FieldKind.DATE: Date(),
}


def newest_table(name: str = NAME, *more: Column[Any]) -> Table:
    """Return the table of the newest rows, with some columns more."""
    fields = load_catalogue().latest(SUBJECT).fields
    columns = [
        Column(spec.name, _TYPES.get(spec.kind, Text()), primary_key=spec.name == KEY, nullable=spec.nullable)
        for spec in sorted(fields, key=lambda spec: spec.name != KEY)
    ]
    return Table(name, MetaData(), *columns, *more, postgresql_with={"fillfactor": FILLFACTOR})


def last_applied(engine: Engine, filled: Filled) -> bool:
    """Tell whether every partition's last record is in the table: all before it is, for a partition is in order."""
    table = newest_table()
    wanted = dict(filled.last.values())
    query = select(table.c.pin, table.c.source_version).where(table.c.pin.in_(wanted))
    with engine.connect() as connection:
        found = {row.pin: row.source_version for row in connection.execute(query)}
    return all(found.get(pin, -1) >= version for pin, version in wanted.items())


def rows_in(engine: Engine) -> int:
    """Count the rows."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(newest_table())).scalar_one())


def rows_with_wrong_id(engine: Engine) -> int:
    """Count the rows whose event id has not the 16 bytes that every event's has."""
    table = newest_table()
    query = select(func.count()).select_from(table).where(func.octet_length(table.c.event_id) != _ID_BYTES)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())
