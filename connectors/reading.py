"""Ways to read a table so that no row is missed: in pages, each with the position that follows it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Select, not_

from connectors.faults import translated
from connectors.port import JsonValue, Position
from connectors.source import SourceTable
from connectors.tables.streaming import streamed

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
    """Read all rows in key order, from a position on; see ``key_pages``."""
    after = position.get(AFTER)
    for rows, place in key_pages(table, table.rows(), page_rows, after if isinstance(after, list) else None):
        yield rows, {**position, AFTER: place}


def key_pages(
    table: SourceTable, wanted: Select[Any], page_rows: int, after: list[JsonValue] | None = None
) -> Iterator[tuple[Rows, list[JsonValue] | None]]:
    """Read rows in key order, each page in a transaction of its own: an outage of the broker holds none open.

    Rows that share a key come in one page, rows without a key come last. Yields a page and the place where it ends.
    """
    ordered = wanted.order_by(*table.key)
    is_last = False
    while not is_last:
        statement = ordered if after is None else ordered.where(table.after(after))
        with translated(table.what), table.engine.connect() as connection:
            if table.proof.is_kept:
                found = list(map(tuple, connection.execute(statement.limit(page_rows)).all()))
                is_last = len(found) < page_rows
                end = table.place(found[-1]) if found else after
            else:
                statement = statement.where(not_(table.without_key()))
                end = _place_of(connection, table, statement, page_rows)
                is_last = end is None
                statement = statement if end is None else statement.where(table.up_to(end))
                found = list(map(tuple, connection.execute(statement).all()))
                end = table.place(found[-1]) if end is None and found else end or after
            rows = table.with_children(connection, found)
        after = end
        if rows:
            yield rows, after
    if table.proof.nullable:
        with translated(table.what), table.engine.connect() as connection:
            for page in streamed(connection, wanted.where(table.without_key()), page_rows):
                yield table.with_children(connection, page), after


def all_pages(
    table: SourceTable, wanted: Select[Any], page_rows: int, after: list[JsonValue] | None = None
) -> Iterator[Rows]:
    """Read rows in key order; see ``key_pages``."""
    return (rows for rows, _ in key_pages(table, wanted, page_rows, after))


def _place_of(
    connection: Connection, table: SourceTable, statement: Select[Any], number: int
) -> list[JsonValue] | None:
    """Return where the row of a number is, the first being 1; None where there are fewer rows."""
    key = [table.selected(column) for column in table.key]
    row = connection.execute(statement.with_only_columns(*key).offset(number - 1).limit(1)).one_or_none()
    return None if row is None else table.place(tuple(row))


def whole_number_of(value: JsonValue) -> int:
    """Return a number that a position holds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("the stored position is not one of this connector")
    return value
