"""Read all rows of a statement page by page, without locking the source's file while a page is processed.

An open cursor of SQLite blocks writes to its file, by its owner, and by this connector if its state is
in the same file. So the rows are first copied into a temporary table, in one statement.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, Select, column, insert, select, table, text, type_coerce

_numbers = count()


def streamed(connection: Connection, statement: Select[Any], page_rows: int) -> Iterator[list[Sequence[Any]]]:
    """Yield the rows of a statement in its order, ``page_rows`` at a time."""
    if connection.dialect.name == "sqlite":
        statement = _put_aside(connection, statement)
    options = connection.execution_options(stream_results=True, max_row_buffer=page_rows)
    for page in options.execute(statement).partitions(page_rows):
        yield [tuple(row) for row in page]


def _put_aside(connection: Connection, statement: Select[Any]) -> Select[Any]:
    name = f"hub_rows_{next(_numbers)}"
    kinds = [wanted.type for wanted in statement.selected_columns]
    aside = table(name, *(column(f"c{number}") for number in range(len(kinds))))
    connection.execute(text(f"CREATE TEMP TABLE {name} ({', '.join(aside.c.keys())})"))
    connection.execute(insert(aside).from_select(list(aside.c), statement))
    connection.commit()
    wanted = [type_coerce(aside.c[number], kind) for number, kind in enumerate(kinds)]
    return select(*wanted).select_from(aside).order_by(text("rowid"))
