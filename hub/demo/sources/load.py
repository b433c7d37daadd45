"""Create the source databases' tables and fill them by COPY."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table, in the order in which they were written there."""

    table: str
    columns: tuple[str, ...]
    rows: Iterable[Sequence[Any]]


def create_tables(url: str, database: str) -> None:
    """Create the tables of a source database from its ``.sql`` file.

    Args:
        url: its SQLAlchemy URL.
        database: name of the file.
    """
    text = files(__package__).joinpath(f"{database}.sql").read_text(encoding="utf-8")
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute(text.encode())


def copy_rows(url: str, tables: Iterable[Rows], after: str | None = None) -> int:
    """Write rows by COPY, all in one transaction; return how many.

    Args:
        url: SQLAlchemy URL of the source database.
        tables: what to write.
        after: a statement to run at the end of the transaction.
    """
    written = 0
    with psycopg.connect(libpq_url(url)) as connection, connection.cursor() as cursor:
        for table in tables:
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table.table), sql.SQL(", ").join(map(sql.Identifier, table.columns))
            )
            with cursor.copy(statement) as copy:
                for row in table.rows:
                    copy.write_row(row)
                    written += 1
        if after is not None:
            cursor.execute(after.encode())
    return written


def libpq_url(url: str) -> str:
    """Return the URL as libpq reads it, without SQLAlchemy's driver name."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
