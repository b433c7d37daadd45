"""Reading PostgreSQL exactly: no poll reads past the oldest transaction that is still open.

The high-water mark is ``pg_snapshot_xmin``. Every transaction below it has ended, so all the rows it wrote are visible.
A poll reads the rows whose writing transaction lies in the window [low, high); the next poll starts at high. Clocks,
sequences and the order of commits do not matter. The writing transaction is the row's ``xmin``, or a declared column
that is filled with ``pg_current_xact_id()``. Such a column should have an index: with ``xmin``, each poll scans the
whole table if anything was written anywhere in the server.

``xmin`` has 32 bits and wraps around, so it is compared by its distance below ``high``. A very old row may look new and
is then read again; the hub audits it as duplicate. The whole table is read again if the window is too wide for the
comparison, or if the position is from another server. A server that was restored from a copy gives the same ids a
second
time: ``connectors.access.origin`` finds that out.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, and_, cast, literal_column, or_, text
from sqlalchemy.types import NullType, UserDefinedType

from connectors.access.open_transactions import oldest_transactions
from connectors.access.origin import EVERYTHING, WITNESSES, Origin
from connectors.access.reading import (
    AFTER,
    CHANGES,
    PHASE,
    SNAPSHOT,
    Rows,
    snapshot_pages,
    whole_number_of,
    window_pages,
)
from connectors.access.source import SourceTable
from connectors.base.port import Position
from connectors.faults import translated

ROUND = 2**32
WIDEST_WINDOW = 2**31
_SOON = 2**20
_HORIZON = text(
    """SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
              pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
              system_identifier::text
       FROM pg_control_system()"""
)


class _Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class HorizonReading:
    """Reads a table of PostgreSQL up to the horizon. Positions: ``low``, and inside a window ``high`` and ``after``."""

    def __init__(self, table: SourceTable, page_rows: int) -> None:
        self._table = table
        self._page_rows = page_rows
        self._first_end: int | None = None
        self._last_low = self._last_end = 0
        self._is_stuck = False
        self._origin = Origin(table)

    def begin(self) -> Position:
        """Return the position of a new snapshot. Rows written from now on lie in the first window after it."""
        low, system = self._horizon()
        return {PHASE: SNAPSHOT, "low": low, "system": system, **self._origin.begun()}

    def snapshot(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read all rows that are visible; see ``Reading``."""
        if self._origin.restarted(position):
            position = self.begin()
        yield from snapshot_pages(self._table, self._page_rows, position)
        witnesses = self._origin.witnesses_of_all(whole_number_of(position["low"]))
        kept = {name: value for name, value in position.items() if name != AFTER}
        yield [], {**kept, PHASE: CHANGES, WITNESSES: witnesses}

    def changes(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read the rows written in the window between ``position`` and the horizon; see ``Reading``."""
        high, system = self._horizon()
        reached, origin = self._origin.reached(position)
        low = (
            whole_number_of(position["low"]) if reached is None else min(reached + 1, whole_number_of(position["low"]))
        )
        everything = position["system"] != system or low <= EVERYTHING + 1 or not 0 <= high - low < WIDEST_WINDOW
        is_inside = "high" in position and position["system"] == system and reached is None
        if is_inside:
            high, everything = whole_number_of(position["high"]), bool(position.get("everything"))
        elif high == low and not everything:
            return
        inside: Position = {
            **origin,
            PHASE: CHANGES,
            "low": low,
            "high": high,
            "system": system,
            "everything": everything,
        }
        after = position.get(AFTER) if is_inside else None
        statement = self._table.rows().add_columns(self._origin.writer()).order_by(*self._table.key)
        if not everything:
            statement = statement.where(self._window(low, high))
        if isinstance(after, list):
            # rows without a key have no place in this order: they are read again
            statement = statement.where(or_(self._table.after(after), self._table.without_key()))
        for page, rows in window_pages(self._table, statement, self._page_rows):
            self._origin.meet([row[:-1] for row in page], [row[-1] for row in page], high)
            after = next((place for row in reversed(rows) if None not in (place := self._table.place(row))), after)
            yield rows, {**inside, AFTER: after}
        witnesses = self._origin.witnesses(origin[WITNESSES])
        yield [], {**origin, PHASE: CHANGES, "low": high, "system": system, WITNESSES: witnesses}

    def unread(self, position: Position, since: datetime) -> Select[Any] | None:
        """Select the rows written at or above the position's ``low``; None (all rows) if it is of another server."""
        _, system = self._horizon()
        # a position without ``low`` comes from another way of reading
        low = whole_number_of(position["low"]) if "low" in position else self._last_end + 1
        if position.get("system") != system or low > self._last_end:
            return None
        # the upper limit is far above the newest transaction: a row written a moment later counts too
        return self._table.rows().where(self._window(low, self._last_end + _SOON))

    def _horizon(self) -> tuple[int, str]:
        with translated(self._table.what), self._table.engine.connect() as connection:
            low, end, system = connection.execute(_HORIZON).one()
        # a busy server always has open transactions; the same one stays the oldest only if it takes long
        self._is_stuck = int(low) == self._last_low and int(end) > int(low)
        self._last_low, self._last_end = int(low), int(end)
        self._first_end = self._first_end or int(end)
        return self._last_low, str(system)

    def is_held_back(self) -> bool:
        """Tell whether a transaction that was open when this reading began was still open at the last look."""
        return self._first_end is not None and self._last_low < self._first_end

    def held_back_at(self) -> str | None:
        """Name the oldest open transaction if it was already the oldest at the poll before and others began since."""
        return f"transaction {self._last_low}" if self._is_stuck else None

    def held_back_by(self) -> str:
        """Say who has that transaction open; see ``Reading``."""
        with translated(self._table.what), self._table.engine.connect() as connection:
            return "; ".join(oldest_transactions(connection)) or "a transaction that has just ended"

    def _window(self, low: int, high: int) -> ColumnElement[bool]:
        name = self._table.stream.txid
        if name is None:
            return xmin_window(low, high)
        column = self._table.table.c[name]
        if isinstance(column.type, NullType):
            return and_(column >= cast(str(low), _Xid8()), column < cast(str(high), _Xid8()))
        return and_(column >= low, column < high)


def xmin_window(low: int, high: int) -> ColumnElement[bool]:
    """Return the condition of the rows written by a transaction in [low, high), both 64-bit ids.

    It may be true for some older rows once the 32 bits have wrapped around. It is never false for a row in the window.
    """
    distance = distance_below(cast(cast(literal_column("xmin"), Text), BigInteger), high)
    return and_(distance > 0, distance <= high - low)


def distance_below(xmin: Any, high: int) -> Any:
    """Return how far an id lies below ``high``. No term is negative, so SQL's and Python's remainder agree."""
    return (high % ROUND - xmin + ROUND) % ROUND
