"""Which way of reading a stream's table needs, and whether the table is still the one that was read."""

from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.access.horizon import HorizonReading
from connectors.access.origin import STEPPED_BACK
from connectors.access.overlap import OverlapReading
from connectors.access.reading import Reading
from connectors.access.source import SourceTable
from connectors.base.port import Position
from connectors.declared.declaration import Declaration, LateRows
from connectors.tables.identity import IDENTITY, Identity, identity_of, why_another
from hub.model.errors import ConfigError


def late_rows_of(table: SourceTable) -> LateRows:
    """Return how rows that are committed late are found: as declared, else the best way the database allows."""
    return table.stream.late_rows or (LateRows.HORIZON if table.has_writers else LateRows.OVERLAP)


def reading_of(declaration: Declaration, table: SourceTable) -> Reading:
    """Return the way of reading a stream's table."""
    if late_rows_of(table) is LateRows.HORIZON:
        if not table.has_writers:
            raise ConfigError(
                [f'{table.what}: late_rows = "horizon" needs a table of PostgreSQL itself, not a view; use "overlap"']
            )
        return HorizonReading(table, declaration.page_rows)
    zone = ZoneInfo(declaration.time_zone)
    return OverlapReading(table, declaration.page_rows, declaration.overlap_s, lambda: datetime.now(zone))


def looked_at(table: SourceTable, position: Position) -> tuple[Identity, str | None]:
    """Return which table it is now, and why it is not the table of a position; None if it is."""
    now = identity_of(table)
    read_below: object = None
    if late_rows_of(table) is LateRows.HORIZON and table.stream.txid is None:
        read_below = position.get("high", position.get("low"))
    return now, why_another(table, position.get(IDENTITY), now, read_below if isinstance(read_below, int) else None)


def carried(before: Position, after: Position) -> Position:
    """Return the position ``after``, with what the position before it said of the table."""
    said = {name: before[name] for name in (STEPPED_BACK, IDENTITY) if name in before}
    return {**said, **after, **{name: said[name] for name in (IDENTITY,) if name in said}}
