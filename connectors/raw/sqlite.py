"""SQLite through the standard library: any column holds any kind of value, and text need not be valid UTF-8."""

from functools import partial
from sqlite3 import Connection


def prepare(connection: Connection) -> None:
    """Let text come with a lone surrogate for each byte that is no UTF-8, instead of refusing all rows of the query."""
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
