"""Read all rows of a statement page by page, without locking the source's file while a page is processed.

A page has ``page_rows`` rows, or fewer if they are large: thousands of rows of some megabytes each would fill the
connector's memory, again after each restart.

An open cursor of SQLite blocks writes to its file, by its owner, and by this connector if its state is
in the same file. So the rows are first copied into a temporary table, in one statement.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from sys import getsizeof
from typing import Any

from sqlalchemy import Connection, Result, Select, column, insert, select, table, text, type_coerce

MOST_PAGE_BYTES = 32 * 1_048_576
"""A page that takes so much memory is not added to."""
_FIRST_ROWS, _MOST_ROWS = 16, 128
"""Rows that are fetched at a time: how large they are is known only then."""
_numbers = count()


@dataclass(slots=True)
class Fetching:
    """Fetches rows, as many at a time as fit if they are like the last ones.

    Fields:
        rows: how many are fetched next.
    """

    rows: int = _FIRST_ROWS

    def page(self, result: Result[Any], page_rows: int) -> list[tuple[Any, ...]]:
        """Return the next ``page_rows`` rows of a result, or fewer if they are large; none at its end."""
        page: list[tuple[Any, ...]] = []
        left = MOST_PAGE_BYTES
        while left > 0 and (wanted := min(self.rows, page_rows - len(page))):
            found = result.fetchmany(wanted)
            if not found:
                break
            page += map(tuple, found)
            left -= self.learn(found, _MOST_ROWS)
        return page

    def learn(self, found: Sequence[Sequence[Any]], most: int) -> int:
        """Choose from the size of these rows how many are fetched next, ``most`` at most; return the size in bytes."""
        size = sum(map(getsizeof, chain.from_iterable(found)))
        self.rows = max(1, min(most, 2 * self.rows, MOST_PAGE_BYTES * len(found) // (4 * size + 1)))
        return size


def streamed(connection: Connection, statement: Select[Any], page_rows: int) -> Iterator[list[Sequence[Any]]]:
    """Yield the rows of a statement in its order, ``page_rows`` at a time, or fewer if they are large."""
    if connection.dialect.name == "sqlite":
        statement = _put_aside(connection, statement)
    result, fetching = opened(connection, statement), Fetching()
    while page := fetching.page(result, page_rows):
        yield list(page)


def opened(connection: Connection, statement: Select[Any]) -> Result[Any]:
    """Run a statement by a cursor of the server, if the database has one: rows come as they are fetched."""
    return connection.execution_options(stream_results=True, max_row_buffer=1).execute(statement)


def _put_aside(connection: Connection, statement: Select[Any]) -> Select[Any]:
    name = f"hub_rows_{next(_numbers)}"
    kinds = [wanted.type for wanted in statement.selected_columns]
    aside = table(name, *(column(f"c{number}") for number in range(len(kinds))))
    connection.execute(text(f"CREATE TEMP TABLE {name} ({', '.join(aside.c.keys())})"))
    connection.execute(insert(aside).from_select(list(aside.c), statement))
    connection.commit()
    wanted = [type_coerce(aside.c[number], kind) for number, kind in enumerate(kinds)]
    return select(*wanted).select_from(aside).order_by(text("rowid"))
