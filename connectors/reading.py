"""Ways to read a table so that no row is missed: in pages, each with the position that follows it."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

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


def snapshot_pages(table: SourceTable, page_rows: int, position: Position) -> Iterator[tuple[Rows, Position]]:
    """Read all rows in key order, each page in a transaction of its own: an outage of the broker holds none open."""
    after = position.get(AFTER)
    while True:
        statement = table.rows().order_by(*table.key).limit(page_rows)
        if isinstance(after, list):
            statement = statement.where(table.after(after))
        with translated(table.what), table.engine.connect() as connection:
            found: Rows = list(map(tuple, connection.execute(statement).all()))
            found = table.with_children(connection, found)
        if found:
            after = table.place(found[-1])
            yield found, {**position, AFTER: after}
        if len(found) < page_rows:
            return


def whole_number_of(value: JsonValue) -> int:
    """Return a number that a position holds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("the stored position is not one of this connector")
    return value
