"""Ways to read a table so that no row is missed: in pages, each with the position that follows it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Select, not_, text

from connectors.access.source import SourceTable
from connectors.base.port import JsonValue, Position
from connectors.faults import SourceRowError, translated
from connectors.tables.streaming import streamed
from connectors.tables.unreadable import UnreadableRow, keys_are_readable, rows_apart

_log = logging.getLogger(__name__)

APART_ROWS = 1_000
"""Rows that are read by their keys at a time, where one cannot be read."""

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
        end = None
        if table.proof.is_kept:
            statement = statement.limit(page_rows)
        else:
            statement = statement.where(not_(table.without_key()))
            with keys_are_readable(table), translated(table.what), table.engine.connect() as connection:
                end = _place_of(connection, table, statement, page_rows)
            statement = statement if end is None else statement.where(table.up_to(end))
        rows, count, last = rows_of(table, statement)
        is_last = count < page_rows if table.proof.is_kept else end is None
        after = end or last or after
        if rows:
            yield rows, after
    if table.proof.nullable:
        with _keyless(table), translated(table.what), table.engine.connect() as connection:
            for page in streamed(connection, wanted.where(table.without_key()), page_rows):
                yield table.with_children(connection, page), after


def rows_of(table: SourceTable, statement: Select[Any]) -> tuple[Rows, int, list[JsonValue] | None]:
    """Return the rows of a page, how many there were to read, and the place of the last; no place for none.

    Rows that cannot be read are among them as ``UnreadableRow``.
    """
    try:
        with translated(table.what), table.engine.connect() as connection:
            found = list(map(tuple, connection.execute(statement).all()))
            return table.with_children(connection, found), len(found), table.place(found[-1]) if found else None
    except SourceRowError as error:
        _log.info("%s: rows are read by their keys, to set this one aside", error.message)
    rows: list[Sequence[Any]] = []
    places: list[list[JsonValue]] = []
    for some, there in rows_apart(table, statement, table.width, APART_ROWS, table.with_children):
        rows += some
        places += there
    return rows, len(places), places[-1] if places else None


@contextmanager
def _keyless(table: SourceTable) -> Iterator[None]:
    """Go on past rows that have no key and cannot be read: nothing can name them, and none could become an event."""
    try:
        yield
    except SourceRowError as error:
        _log.warning("%s: it has no key either: rows without a key are left out", error.message)


def window_pages(table: SourceTable, statement: Select[Any], page_rows: int) -> Iterator[tuple[Rows, Rows]]:
    """Read all rows of a statement in its order.

    Yields the rows as the statement gives them, those left out that cannot be read; and the same rows with their child
    rows and without what the statement adds to the table's columns, those that cannot be read among them. Where a row
    cannot be read, pages may come again.
    """
    columns = len(table.columns)

    def both(connection: Connection, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, Any]]:
        finished = table.with_children(connection, [row[:columns] for row in rows])
        return list(zip(rows, finished, strict=True))

    try:
        with translated(table.what), table.engine.connect() as connection:
            table.look_for_shared(connection, statement.order_by(None))
            if table.is_postgresql:
                # all of the window is wanted, not its first rows soon
                connection.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
            for page in streamed(connection, statement, page_rows):
                yield page, [finished for _, finished in both(connection, page)]
        return
    except SourceRowError as error:
        _log.info("%s: rows are read by their keys, to set this one aside", error.message)
    for pairs, _ in rows_apart(table, statement, table.width, page_rows, both):
        read = [pair[0] for pair in pairs if not isinstance(pair, UnreadableRow)]
        yield read, [pair if isinstance(pair, UnreadableRow) else pair[1] for pair in pairs]


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
