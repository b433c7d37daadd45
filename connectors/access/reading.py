"""Ways to read a table without missing a row: in pages, each with the position that follows it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Select, not_, text

from connectors.access.source import SourceTable
from connectors.base.port import JsonValue, Position
from connectors.faults import SourceRowError, translated
from connectors.tables.streaming import Fetching, opened, streamed
from connectors.tables.unreadable import UnreadableRow, keys_are_readable, rows_apart

_log = logging.getLogger(__name__)

APART_ROWS = 1_000
"""How many rows are read by their keys at a time, when one of them cannot be read."""

Rows = Sequence[Sequence[Any]]
PHASE, AFTER = "phase", "after"
SNAPSHOT, CHANGES = "snapshot", "changes"


class Reading(Protocol):
    """A way to read one table."""

    def begin(self) -> Position:
        """Return the position of a snapshot that begins now."""

    def snapshot(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read all rows in key order from ``position`` on; the last pair has no rows and begins the changes."""

    def changes(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read what is new since ``position``; the last pair has no rows and ends this poll."""

    def is_held_back(self) -> bool:
        """Tell whether rows that were committed before this reading began may still be unread."""

    def held_back_at(self) -> str | None:
        """Name what holds rows back. The name stays the same while it does; None if nothing is held back."""

    def held_back_by(self) -> str:
        """Say who holds rows back and since when, as far as the source tells it."""

    def unread(self, position: Position, since: datetime) -> Select[Any] | None:
        """Select the rows that may be unread at ``position``, which was stored by the time ``since``; None: all."""


def snapshot_pages(table: SourceTable, page_rows: int, position: Position) -> Iterator[tuple[Rows, Position]]:
    """Read all rows in key order, from a position on; see ``key_pages``."""
    after = position.get(AFTER)
    for rows, place in key_pages(table, table.rows(), page_rows, after if isinstance(after, list) else None):
        yield rows, {**position, AFTER: place}


def key_pages(
    table: SourceTable, wanted: Select[Any], page_rows: int, after: list[JsonValue] | None = None
) -> Iterator[tuple[Rows, list[JsonValue] | None]]:
    """Read rows in key order, each page in its own transaction: an outage of the broker keeps no transaction open.

    Rows that share a key come in one page; rows without a key come last. Yields each page with the place where it ends.
    """
    ordered = wanted.order_by(*table.key)
    is_last, fetching = False, Fetching()
    while not is_last:
        statement = ordered if after is None else ordered.where(table.after(after))
        end = None
        if table.proof.is_kept:
            statement = statement.limit(page_rows)
        else:
            statement = statement.where(not_(table.without_key()))
            with keys_are_readable(table), translated(table.what), table.engine.connect() as connection:
                # rows that share a key come in one page, so how many these are is chosen before they are read
                end = _place_of(connection, table, statement, min(page_rows, fetching.rows))
            statement = statement if end is None else statement.where(table.up_to(end))
        read = rows_of(table, statement, page_rows if table.proof.is_kept else None, fetching)
        is_last = not read.is_cut and read.count < page_rows if table.proof.is_kept else end is None
        if read.rows and not table.proof.is_kept:
            fetching.learn(read.rows, page_rows)
        after = end or read.last or after
        if read.rows:
            yield read.rows, after
    if table.proof.nullable:
        with _keyless(table), translated(table.what), table.engine.connect() as connection:
            for page in streamed(connection, wanted.where(table.without_key()), page_rows):
                yield table.with_children(connection, page), after


@dataclass(frozen=True, slots=True)
class PageRead:
    """What was read of a statement.

    Fields:
        rows: the rows; one that cannot be read is an ``UnreadableRow``.
        count: how many rows the source had for it.
        last: the place of the last row; None if there is none.
        is_cut: the rows are large, and more follow.
    """

    rows: Rows
    count: int
    last: list[JsonValue] | None
    is_cut: bool = False


def rows_of(
    table: SourceTable, statement: Select[Any], page_rows: int | None = None, fetching: Fetching | None = None
) -> PageRead:
    """Read the rows of a statement: ``page_rows`` of them, fewer if they are large; all of them for None."""
    try:
        with translated(table.what), table.engine.connect() as connection:
            is_cut = False
            if page_rows is None:
                found = list(map(tuple, connection.execute(statement).all()))
            else:
                with closing(opened(connection, statement)) as result:
                    found = (fetching or Fetching()).page(result, page_rows)
                    is_cut = len(found) < page_rows and result.fetchone() is not None
            rows = table.with_children(connection, found)
            return PageRead(rows, len(found), table.place(found[-1]) if found else None, is_cut)
    except SourceRowError as error:
        _log.info("%s: the rows are read one by one, to set this row aside", error.message)
    rows_read: list[Sequence[Any]] = []
    places: list[list[JsonValue]] = []
    for some, there in rows_apart(table, statement, table.width, APART_ROWS, table.with_children):
        rows_read += some
        places += there
    return PageRead(rows_read, len(places), places[-1] if places else None)


@contextmanager
def _keyless(table: SourceTable) -> Iterator[None]:
    """Skip rows that have no key and cannot be read: nothing can name them, and they cannot become events."""
    try:
        yield
    except SourceRowError as error:
        _log.warning("%s: it has no key either: rows without a key are skipped", error.message)


def window_pages(table: SourceTable, statement: Select[Any], page_rows: int) -> Iterator[tuple[Rows, Rows]]:
    """Read all rows of a statement in its order.

    Yields pairs. The first of a pair has the rows as the statement gives them, without those that cannot be read. The
    second has the same rows with their child rows and without the columns that the statement adds to the table's;
    unreadable rows are included. If a row cannot be read, pages may come twice.
    """
    columns = len(table.columns)

    def both(connection: Connection, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, Any]]:
        finished = table.with_children(connection, [row[:columns] for row in rows])
        return list(zip(rows, finished, strict=True))

    try:
        with translated(table.what), table.engine.connect() as connection:
            table.look_for_shared(connection, statement.order_by(None))
            if table.is_postgresql:
                # all rows of the window are wanted, so the planner need not be fast with the first ones
                connection.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
            for page in streamed(connection, statement, page_rows):
                yield page, [finished for _, finished in both(connection, page)]
        return
    except SourceRowError as error:
        _log.info("%s: the rows are read one by one, to set this row aside", error.message)
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
    """Return the place of the row with a number, counted from 1; None if there are fewer rows."""
    key = [table.selected(column) for column in table.key]
    row = connection.execute(statement.with_only_columns(*key).offset(number - 1).limit(1)).one_or_none()
    return None if row is None else table.place(tuple(row))


def whole_number_of(value: JsonValue) -> int:
    """Return a whole number that a position stores."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("the stored position is not one of this connector")
    return value
