"""Ways to read a table so that no row is missed: in pages, each with the position that follows it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Select

from connectors.faults import translated
from connectors.port import JsonValue, Position
from connectors.source import SourceTable

Rows = Sequence[Sequence[Any]]
PHASE, AFTER = "phase", "after"
SNAPSHOT, CHANGES = "snapshot", "changes"


class Reading(Protocol):
    """A way to read one table."""

    def begin(self) -> Position:
        """Return the position of a snapshot that begins now."""

    def snapshot(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read all rows in key order, from ``position`` on; the last pair has no rows and begins the changes."""

    def changes(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read what is new since ``position``; the last pair has no rows and ends this poll."""

    def is_held_back(self) -> bool:
        """Tell whether rows that were committed before this reading began may be unread yet."""

    def held_back_at(self) -> str | None:
        """Name the place at which rows are held back, the same as long as they are; None where nothing is held back."""

    def held_back_by(self) -> str:
        """Say who holds rows back and since when, as far as the source tells."""

    def unread(self, position: Position, since: datetime) -> Select[Any] | None:
        """Select the rows that may not have been read at ``position``, which was stored by ``since``; None: all."""


def snapshot_pages(table: SourceTable, page_rows: int, position: Position) -> Iterator[tuple[Rows, Position]]:
    """Read all rows in key order, from a position on; see ``all_pages``."""
    after = position.get(AFTER)
    for rows in all_pages(table, table.rows(), page_rows, after if isinstance(after, list) else None):
        yield rows, {**position, AFTER: table.place(rows[-1])}


def all_pages(
    table: SourceTable, wanted: Select[Any], page_rows: int, after: list[JsonValue] | None = None
) -> Iterator[Rows]:
    """Read rows in key order, each page in a transaction of its own: an outage of the broker holds none open."""
    while True:
        statement = wanted.order_by(*table.key).limit(page_rows)
        if after is not None:
            statement = statement.where(table.after(after))
        with translated(table.what), table.engine.connect() as connection:
            found: Rows = list(map(tuple, connection.execute(statement).all()))
            found = table.with_children(connection, found)
        if found:
            after = table.place(found[-1])
            yield found
        if len(found) < page_rows:
            return


def whole_number_of(value: JsonValue) -> int:
    """Return a number that a position holds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("the stored position is not one of this connector")
    return value
