"""Rows that the database itself cannot read: they are found by their keys and separated from the readable ones.

A view's expression or a generated column may divide by zero for one row; then every statement that reads the row
fails. So the keys are read alone, then the rows by their keys, in halves, until each row is read or is alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Select

from connectors.base.port import JsonValue
from connectors.faults import SourceRowError, translated
from connectors.tables.shape import Shape
from hub.model.errors import ConfigError

Row = Sequence[Any]
Finish = Callable[[Connection, list[Row]], Sequence[Row]]
"""Completes rows with what other statements read, such as child rows; these may fail for a row, too."""


class UnreadableRow(tuple[Any, ...]):
    """A row of which only the key could be read; all its other values are None."""


def rows_apart(
    shape: Shape, statement: Select[Any], width: int, page_rows: int, finish: Finish
) -> Iterator[tuple[Sequence[Row], Sequence[list[JsonValue]]]]:
    """Read the rows of a statement by their keys, ``page_rows`` at a time, in its order; one session per page.

    Args:
        shape: the stream's table.
        statement: it fails for one of its rows; it begins with the columns of the key.
        width: number of values in an unreadable row, the key's included.
        page_rows: most rows at a time.
        finish: completes rows.

    Yields the rows, unreadable ones as ``UnreadableRow``, and the places of all rows of the page. Rows
    without a key cannot be looked up and are skipped.

    Raises:
        ConfigError: even the keys cannot be read.
    """
    with keys_are_readable(shape), translated(shape.what), shape.engine.connect() as connection:
        keys = [shape.selected(shape.table.c[name]) for name in shape.stream.key]
        found = [tuple(row) for row in connection.execute(statement.with_only_columns(*keys))]
    named = [key for key in found if None not in key]
    for first in range(0, len(named), page_rows):
        some = named[first : first + page_rows]
        yield list(_parts(shape, statement.limit(None), width, some, finish)), list(map(shape.place, some))


@contextmanager
def keys_are_readable(shape: Shape) -> Iterator[None]:
    """Say what to do if a statement that reads only keys fails for a row.

    Raises:
        ConfigError: instead of ``SourceRowError``.
    """
    try:
        yield
    except SourceRowError as error:
        key = ", ".join(shape.stream.key)
        raise ConfigError(
            [
                f"{error.message}; even its key ({key}) cannot be read, so the row cannot be set aside: correct"
                " the row in the source, or exclude it by `where` or a view"
            ]
        ) from None


def _parts(shape: Shape, statement: Select[Any], width: int, keys: Sequence[Row], finish: Finish) -> Iterator[Row]:
    wanted = statement.where(shape.at_any(list(map(shape.place, keys))))
    try:
        with translated(shape.what), shape.engine.connect() as connection:
            found = finish(connection, [tuple(row) for row in connection.execute(wanted)])
    except SourceRowError:
        if len(keys) == 1:
            yield UnreadableRow([*keys[0], *[None] * (width - len(keys[0]))])
            return
        half = len(keys) // 2
        yield from _parts(shape, statement, width, keys[:half], finish)
        yield from _parts(shape, statement, width, keys[half:], finish)
    else:
        yield from found
