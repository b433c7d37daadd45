"""SQLite through the standard library: any column holds any kind of value, and text need not be valid UTF-8."""

from functools import partial
from sqlite3 import Connection


def prepare(connection: Connection) -> None:
    """Make a byte that is not UTF-8 come as a lone surrogate, so that the query's other rows can be read."""
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
